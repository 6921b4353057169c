package state

import "github.com/millstream-io/millstream/proto/fault"

// Damage says that a class lost groups of writes that had been durable. Every replica that ever wrote to the
// class may lack entries at the end of its log, or what it carried. What can be read and verifies is served;
// writes are refused until somebody accepts the loss.
type Damage struct {
	Class    Class
	From, To uint64 // numbers of the first and last group that is missing; 0 where that cannot be told
	Reason   string // what was found, in words
}

// Err returns the damage as the error that writes to the class get, fault.CorruptRecord.
func (d Damage) Err() error {
	return fault.New(fault.CorruptRecord, "class %s lost groups %d to %d that were durable: %s", d.Class, d.From, d.To,
		d.Reason).WithHint("let the replicas rebuild from their peers, or accept the loss; what verifies can be read")
}
