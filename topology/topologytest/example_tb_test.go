package topologytest_test

import (
	"context"
	"fmt"
	"testing"
)

// exampleTB lets an Example, which is given no testing.T, use a driver.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

// Helper implements testing.TB.
func (e *exampleTB) Helper() {}

// Context implements testing.TB.
func (e *exampleTB) Context() context.Context { return context.Background() }

// Cleanup implements testing.TB.
func (e *exampleTB) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }

// Errorf implements testing.TB: what a test would complain about spoils the output of the example.
func (e *exampleTB) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// Fatalf implements testing.TB.
func (e *exampleTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Fatal implements testing.TB.
func (e *exampleTB) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (e *exampleTB) end() {
	for _, f := range e.cleanups {
		f()
	}
}
