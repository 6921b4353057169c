package producer

import (
	"slices"
	"testing"
)

// Goal: the active ones are those with committed batches that are not expired, with what they wrote last, by id,
// also after a restart. Method: three producers, one of them only pending, one of them old; a snapshot.
func TestActive(t *testing.T) {
	s := New()
	s.Apply(batch(t, 9, 1, 0, 3, 0), 1, 1000)
	s.Apply(batch(t, 4, 2, 0, 1, 3), 2, 1000+ExpiryMs/2)
	s.Apply(batch(t, 4, 2, 1, 5, 4), 3, 2000+ExpiryMs/2)
	s.Pend(batch(t, 5, 0, 0, 1, 9), 4, 3000)
	restored := New()
	if err := restored.Restore(s.Snapshot()); err != nil {
		t.Fatal(err)
	}
	four, nine := Active{4, 2, 5, 2000 + ExpiryMs/2}, Active{9, 1, 2, 1000}
	for _, s := range []*State{s, restored} {
		if got := s.Active(1000 + ExpiryMs); !slices.Equal(got, []Active{four, nine}) {
			t.Errorf("both: %+v", got)
		}
		if got := s.Active(1001 + ExpiryMs); !slices.Equal(got, []Active{four}) {
			t.Errorf("one is expired: %+v", got)
		}
	}
	if got := New().Active(0); got == nil || len(got) != 0 {
		t.Errorf("none: %#v", got)
	}
}
