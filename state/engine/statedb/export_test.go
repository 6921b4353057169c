package statedb

// Dir is where the databases are.
func (s *States) Dir() string { return s.o.Dir }
