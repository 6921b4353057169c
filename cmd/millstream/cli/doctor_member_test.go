package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Goal: over a connection, doctor judges each finding and says what mends it. Method: doors of the test's
// own that tell one wrong thing each, and one that tells none.
func TestDoctorOverAConnection(t *testing.T) {
	t.Parallel()
	well := map[string]string{
		"/healthz": "ok", "/readyz": "ready", "/damage": "{}",
		"/metrics": "millstream_store_free_bytes 5e10\nprocess_max_fds 65536\n",
	}
	for name, test := range map[string]struct {
		change map[string]string
		codes  map[string]int
		clock  time.Duration
		code   int
		want   string
		mend   string
	}{
		"well":      {want: "ok    ready"},
		"not alive": {codes: map[string]int{"/healthz": 503}, code: 2, want: "bad   member", mend: "restart it"},
		"not ready": {codes: map[string]int{"/readyz": 503}, change: map[string]string{"/readyz": "3 partitions have no leader"},
			code: 2, want: "3 partitions have no leader"},
		"full": {change: map[string]string{"/metrics": "millstream_store_free_bytes 0\nprocess_max_fds 65536\n"}, code: 2,
			want: "the volume is full", mend: "make room"},
		"slow disk": {change: map[string]string{"/metrics": well["/metrics"] + "millstream_engine_slow_groups_total{class=\"long\"} 3\n"},
			code: 1, want: "a second or more for 3 of", mend: "iostat"},
		"few files": {change: map[string]string{"/metrics": "millstream_store_free_bytes 5e10\nprocess_max_fds 256\n"}, code: 1,
			want: "may open 256 files", mend: "ulimit"},
		"faults": {change: map[string]string{"/metrics": well["/metrics"] + "millstream_kafka_handler_panics_total 2\n"}, code: 1,
			want: "2 requests and 0 actors met a fault", mend: "panic"},
		"clock ahead":  {clock: time.Hour, code: 1, want: "ahead of the one here", mend: "set-ntp"},
		"clock behind": {clock: -time.Minute, code: 1, want: "behind the one here", mend: "set-ntp"},
		"damage": {change: map[string]string{"/damage": `{"ranges":[{"topic":"lines","partition":0,"from":1,"to":2}]}`}, code: 2,
			want: "damaged: ", mend: "topic delete lines"},
		"lost writes": {change: map[string]string{"/damage": `{"lost":[{"class":"long","from_group":3,"to_group":4,"reason":"r"}]}`}, code: 2,
			want: "groups 3 to 4 are missing", mend: "--storage-accept-loss"},
		"no metrics": {codes: map[string]int{"/metrics": 404}, code: 1, want: "tells no metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text, ok := test.change[r.URL.Path]
				if !ok {
					text = well[r.URL.Path]
				}
				w.Header().Set("Date", time.Now().Add(test.clock).UTC().Format(http.TimeFormat))
				if code := test.codes[r.URL.Path]; code != 0 {
					w.WriteHeader(code)
				}
				fmt.Fprint(w, text)
			}))
			defer s.Close()
			o := commandLine(t, "", nil, "doctor", "--http", strings.TrimPrefix(s.URL, "http://"))
			// The clock of the machine that runs the test may be a warning of its own.
			if o.code != test.code && !(o.code == doctorWarns && strings.Contains(o.stdout, "warn  clock ")) {
				t.Errorf("exit code %d, want %d", o.code, test.code)
			}
			if !strings.Contains(o.stdout, test.want) || !strings.Contains(o.stdout, test.mend) {
				t.Errorf("%q and %q are not both said:\n%s", test.want, test.mend, o.stdout)
			}
		})
	}
}
