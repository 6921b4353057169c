package group

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
)

// Goal: aged groups are told, again and again, one sweep at a time. Method: fake time; a port that answers a
// while later.
func TestSweeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := actors.New(actors.Options{OnUnknown: func(_ actors.Identity, m any) { t.Errorf("unknown %T", m) }})
		defer system.Close()
		begin := time.Now()
		var at []time.Duration
		var told []string
		system.Register(Sweeper(func() SweeperPorts {
			return SweeperPorts{
				Every: time.Minute,
				Aged: func(now time.Time, done func([]string)) {
					at = append(at, now.Sub(begin))
					time.AfterFunc(time.Second, func() { done([]string{"g", "h"}) })
				},
				Expire: func(name string) { told = append(told, name) },
			}
		}, supervise.Replica()))
		if _, err := system.Activate(SweeperKind, "member", 1); err != nil {
			t.Fatal(err)
		}
		<-time.After(130 * time.Second)
		synctest.Wait()
		if len(at) != 2 || at[0] != time.Minute || at[1] != 121*time.Second || len(told) != 4 {
			t.Errorf("swept at %v, told %v", at, told)
		}
	})
}
