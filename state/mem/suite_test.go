package mem_test

import (
	"testing"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/mem"
	"github.com/millstream-io/millstream/state/statetest"
)

// Goal: databases in memory keep the contract. Method: the suite; a crash drops the handles.
func TestContract(t *testing.T) {
	t.Parallel()
	statetest.Run(t, statetest.Subject{
		Open: func(testing.TB) state.States { return mem.NewStates() },
		Crash: func(_ testing.TB, s state.States) state.States {
			s.(*mem.States).Crash()
			return s
		},
	})
}
