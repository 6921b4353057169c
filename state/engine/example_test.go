package engine_test

import (
	"fmt"
	"os"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	e := state.Entry{Index: 1, Term: 1, Type: state.EntryRecords, Base: 0, Last: 9}
	e.Frame = append(make([]byte, state.FrameRoom), "ten records"...)
	e.Seal()
	durable := make(chan error)
	s.Append(state.ClassLong, state.Write{
		Replica: 7, Sync: true, Entries: []state.Entry{e},
		Tail: state.Tail{First: 1, Last: 1, LastTerm: 1, Term: 1},
	}, func(err error) { durable <- err })
	fmt.Println("durable:", <-durable)

	at, _ := s.Seek(7, 5)
	got, _ := s.Entries(7, at, at+1, 1<<20, nil)
	fmt.Printf("offset 5 is in entry %d: %s\n", at, got[0].Payload())
	// Output:
	// durable: <nil>
	// offset 5 is in entry 1: ten records
}

// A simulation settles writes itself, so that everything happens in one loop and in the same order each time.
func ExampleMemory() {
	m := engine.NewMemory(engine.Options{})
	m.Append(state.ClassMeta, state.Write{Replica: 1, Sync: true, Tail: state.Tail{First: 1, Term: 4}},
		func(err error) { fmt.Println("done:", err) })
	fmt.Println("waiting:", m.Pending())
	m.Step()
	tail, _, _ := m.Load(1)
	fmt.Println("term:", tail.Term)
	// Output:
	// waiting: 1
	// done: <nil>
	// term: 4
}
