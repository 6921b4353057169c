package actors_test

import (
	"fmt"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
)

// deposit asks an account to take an amount; the reply is the balance.
type deposit struct{ amount int }

// stored says that the pool has written a balance.
type stored struct {
	balance int
	asker   actors.Asker
}

// account keeps a balance and answers once it is written.
type account struct{ balance int }

func (a *account) Receive(c actors.Context, m any) {
	switch m := m.(type) {
	case actors.Started, actors.Stopping:
	case deposit:
		a.deposit(c, m)
	case stored:
		c.ReplyTo(m.asker, m.balance)
	default:
		c.Unknown(m)
	}
}

func (a *account) deposit(c actors.Context, d deposit) {
	a.balance += d.amount
	done := stored{a.balance, c.Asker()}
	c.Go(func() any { return done }) // a slow write would go here, it must not hold up the mailbox
}

// A kind is registered, one of its actors is activated at an epoch, and asked.
func Example() {
	s := actors.New(actors.Options{})
	defer s.Close()
	s.Register(actors.Kind{
		Name:    "account",
		New:     func(actors.Identity) actors.Actor { return &account{} },
		Restart: supervise.Task(),
	})
	ref, err := s.Activate("account", "alice", 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ref)

	replies := make(chan string, 1)
	deadline := time.Now().Add(10 * time.Second)
	ref.Tell(deposit{40})
	ref.Ask(deadline, deposit{2}, func(m any, err error) { replies <- fmt.Sprint(m, " ", err) })
	fmt.Println(<-replies)
	// Output:
	// account/alice@1
	// 42 <nil>
}
