package kafka

import (
	"testing"
	"testing/synctest"
)

// Goal: a budget lets in what fits, in order, and one that is too big when it is alone. Method: takers in
// a bubble, where "everybody waits" is a fact that can be waited for.
func TestCreditOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCredit(100)
		if waited, ok := c.take(nil, 90); waited || !ok {
			t.Fatal("90 of 100 must not wait")
		}
		served := make(chan int, 3)
		for i, n := range []int64{50, 5, 300} {
			go func() { c.take(nil, n); served <- i }()
			synctest.Wait()
		}
		if len(served) != 0 {
			t.Fatal("served although the first in line does not fit")
		}
		c.give(90)
		synctest.Wait()
		if len(served) != 2 || c.Used() != 55 {
			t.Fatalf("served %d, used %d", len(served), c.Used())
		}
		c.give(55)
		synctest.Wait()
		if len(served) != 3 || c.Used() != 300 {
			t.Fatalf("the big one must be served alone: %d served, used %d", len(served), c.Used())
		}
		c.give(300)
	})
}

// Goal: who gives up waiting neither keeps bytes nor holds up those behind. Method: stop the first of two
// in line.
func TestCreditWithdraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCredit(100)
		c.take(nil, 60)
		stop := make(chan struct{})
		var first, second bool
		go func() { _, first = c.take(stop, 90) }()
		synctest.Wait()
		go func() { _, second = c.take(nil, 30) }()
		synctest.Wait()
		close(stop)
		synctest.Wait()
		if first || !second || c.Used() != 90 {
			t.Fatalf("first %v second %v used %d", first, second, c.Used())
		}
		if n := c.reserve(20, 50); n != 20 || c.Used() != 110 {
			t.Fatalf("reserved %d, used %d: the least is given whatever is free", n, c.Used())
		}
		var none *Credit
		if _, ok := none.take(nil, 1<<40); !ok {
			t.Fatal("no budget must mean no limit")
		}
		none.give(1)
	})
}
