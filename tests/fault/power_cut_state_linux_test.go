package fault

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millstream-io/millstream/tests/stateful"
)

// Goal: after a power cut no acknowledged input of a stateful topology is lost, and its rows, which are not synced
// and have been in use by another run of the machine, come back from the changelogs. Method: the stateful member on
// an ext4 of its own; the power is cut under load; the boot id is another one then, as after a real cut; what the next
// life leaves when it is stopped is compared with all of the changelogs. All rounds share one log.
func TestPowerCutState(t *testing.T) {
	t.Parallel()
	v := newExt4(t, 2<<30)
	rng := rand.New(rand.NewPCG(*seed, 6))
	l := stateful.NewLedger()
	for round := range *cuts {
		s := stateful.Start(t, v.data())
		stop := l.Feed(t, s.Kafka(), round)
		l.AwaitMore(t, 400)
		<-time.After(time.Duration(rng.IntN(300)) * time.Millisecond) // a random moment
		v.cutPower(s)
		stop()
		stateful.OtherBoot(t, v.data())
		s = stateful.Start(t, v.data())
		counted := l.AwaitCounted(t, s.Kafka())
		stateful.AwaitCaughtUp(t, s)
		s.Stop()
		left := stateful.Left(t, v.data())
		idle := stateful.StartIdle(t, v.data())
		faults := stateful.Compare(left, stateful.Changelogs(t, idle.Kafka()), true)
		faults = append(faults, l.Judge(stateful.Counted(t, left))...)
		idle.Stop()
		if len(faults) > 0 {
			t.Fatalf("cut %d (seed %d): %d faults, the first ones %v", round, *seed, len(faults), faults[:min(5, len(faults))])
		}
		t.Logf("cut %d: %d orders acknowledged, all counted, %d again", round, l.Acked(), stateful.Repeated(counted))
	}
}
