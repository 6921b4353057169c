package engine_test

func runChild() {}
