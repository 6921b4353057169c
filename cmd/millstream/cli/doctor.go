package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/proto/fault"
)

// How a check ended. The exit code of doctor is the worst of them.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkBad  = "bad"
)

// check is one thing that was looked at. Its JSON keys are stable.
type check struct {
	Check  string                 `json:"check"`
	State  string                 `json:"state"`
	Says   string                 `json:"says"`
	Mend   string                 `json:"mend,omitempty"`
	Damage []cluster.DamagedRange `json:"damage,omitempty"`
}

func (s *shell) doctorCommand() *urfave.Command {
	return &urfave.Command{
		Name: "doctor", Usage: "check a member's data and machine, with the command that mends each finding",
		Description: "While no member uses the directory, every record in it is verified; else the member is asked.\n" +
			"Without a directory the member at --http is, or the one of the context: whether it is ready, what is damaged,\n" +
			"its disk, its clock.\n" +
			"Exit code: 0 all is well, 1 warnings, 2 damage, or something that keeps a member from its work.",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "data", Usage: "data directory `DIR`; MILLSTREAM_DATA names one too"},
			&urfave.StringFlag{
				Name: httpDoor.flag, Usage: "`ADDRESS` of a running member's HTTP door (" + httpDoor.variable + ", or else the " +
					"current context, or " + defaultHTTP + ")",
			},
			contextFlag(),
			&urfave.StringFlag{Name: "output", Value: "table", Usage: "`FORM` of the result: table or json"},
		},
		Action: s.doctor,
	}
}

func (s *shell) doctor(c *urfave.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	form := c.String("output")
	if form != "table" && form != "json" {
		return usage("unknown form %q for --output", form).hint("table or json")
	}
	e := &examination{s: s, ctx: c.Context, dir: c.String("data"), addr: c.String(httpDoor.flag), began: time.Now()}
	if e.dir == "" {
		e.dir = s.env("MILLSTREAM_DATA")
	}
	if err := e.find(); err != nil {
		return err
	}
	e.clock()
	if e.dir == "" {
		e.member("")
	} else {
		e.data()
	}
	e.clockJump()
	if err := c.Context.Err(); err != nil {
		return err
	}
	return s.showChecks(form, e.checks)
}

// find says which member is asked. With a data directory that is one of this machine, so the context that is used
// anyway has no say.
func (e *examination) find() (err error) {
	if e.addr == "" && e.dir != "" && e.s.context == "" {
		if e.addr = e.s.env(httpDoor.variable); e.addr == "" {
			e.addr = httpDoor.standard
		}
		return nil
	}
	e.addr, err = e.s.address(e.addr, httpDoor)
	return err
}

// showChecks prints the checks and gives the exit code.
func (s *shell) showChecks(form string, checks []check) error {
	worst, code := checkOK, exitOK
	for _, k := range checks {
		switch {
		case k.State == checkBad:
			worst, code = checkBad, doctorBad
		case k.State == checkWarn && code == exitOK:
			worst, code = checkWarn, doctorWarns
		}
	}
	if form == "json" {
		e := json.NewEncoder(s.Stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(struct {
			State  string  `json:"state"`
			Checks []check `json:"checks"`
		}{worst, checks}); err != nil {
			return err
		}
		return silent(code)
	}
	for _, k := range checks {
		fmt.Fprintf(s.Stdout, "%-4s  %-12s  %s\n", k.State, k.Check, k.Says)
		if k.Mend != "" {
			fmt.Fprintf(s.Stdout, "      %-12s  mend: %s\n", "", k.Mend)
		}
	}
	return silent(code)
}

// The exit codes of doctor.
const (
	doctorWarns = 1
	doctorBad   = 2
)

// silent ends a command with an exit code and without a word: what there is to say has been said.
func silent(code int) error {
	if code == exitOK {
		return nil
	}
	return &failure{code: code}
}

// examination gathers checks.
type examination struct {
	s      *shell
	ctx    context.Context
	dir    string
	addr   string
	began  time.Time
	checks []check

	memberTime, askedAt time.Time // the member's clock when it last answered, and the one here
}

func (e *examination) add(k check) { e.checks = append(e.checks, k) }

func (e *examination) ok(name, format string, args ...any) {
	e.add(check{Check: name, State: checkOK, Says: oneLine(fmt.Sprintf(format, args...))})
}

func (e *examination) warn(name, mend, format string, args ...any) {
	e.add(check{Check: name, State: checkWarn, Says: oneLine(fmt.Sprintf(format, args...)), Mend: mend})
}

func (e *examination) bad(name, mend, format string, args ...any) {
	e.add(check{Check: name, State: checkBad, Says: oneLine(fmt.Sprintf(format, args...)), Mend: mend})
}

// data looks at a data directory, itself or through the member that has it.
func (e *examination) data() {
	if _, err := os.Stat(e.dir); err != nil {
		e.bad("data", "millstream doctor --data DIR", "the data directory cannot be looked at: %v", err)
		return
	}
	e.volume()
	e.futureFiles()
	id, member, err := cluster.Identify(e.dir)
	switch {
	case errors.Is(err, fault.InvalidConfig):
		e.bad("data", "millstream doctor --data DIR", "%v", err)
		return
	case err != nil:
		e.bad("member file", e.restore(), "%v", err)
		return
	}
	e.ok("member file", "member %d of cluster %s", member, id)
	i, err := cluster.Inspect(e.dir)
	switch {
	case errors.Is(err, fault.PolicyViolation):
		e.ok("lock", "a running member has the directory: it is asked instead")
		e.member(id)
		return
	case err != nil:
		e.bad("log", e.restore(), "the log does not open: %v", err)
		return
	}
	e.ok("lock", "no member has the directory")
	if limit, ok := openFileLimit(); ok {
		e.openFiles("a member started from here", limit)
	}
	e.log(i)
	if err := i.Close(); err != nil {
		e.bad("log", e.restore(), "the log does not close: %v", err)
	}
}

// log looks at an opened log.
func (e *examination) log(i *cluster.Inspection) {
	if err := i.MetadataErr(); err != nil {
		e.bad("metadata", e.restore(), "the metadata cannot be read, so partitions have no names: %v", err)
	} else {
		e.ok("metadata", "%s", count(int64(len(i.Partitions())-1), "partition"))
	}
	e.space(i.Free())
	e.lost(i.Lost())
	for _, r := range i.Relaxed() {
		e.relaxed(r.String())
	}
	stop := e.s.progress(e.ctx, "verifying the log")
	damage := []cluster.DamagedRange{}
	err := i.Verify(e.ctx, func(d cluster.DamagedRange) { damage = append(damage, d) })
	stop()
	if err != nil {
		e.bad("records", e.restore(), "the log cannot be verified: %v", err)
		return
	}
	if len(damage) == 0 {
		e.ok("records", "every record verifies")
	}
	e.damaged(damage, func(d cluster.DamagedRange) bool { return i.Starts(d.Topic, d.Partition) == nil })
}

// lost names the classes that take no writes.
func (e *examination) lost(all []cluster.LostClass) {
	for _, l := range all {
		groups := "the groups that are missing cannot be told"
		if l.From > 0 {
			groups = fmt.Sprintf("groups %d to %d are missing", l.From, l.To)
		}
		e.bad("writes", fmt.Sprintf("millstream server --data %s --storage-accept-loss   (once; or %s)", e.place(), e.restore()),
			"class %s lost durable writes and takes no more: %s, %s", l.Class, groups, l.Reason)
	}
	if len(all) == 0 {
		e.ok("writes", "no class lost a durable write")
	}
}

// relaxed names a topic that promises less than the others.
func (e *examination) relaxed(says string) {
	e.warn("durability", "millstream topic alter NAME --config flush.policy=durable, where that is not meant", "%s", says)
}

// damaged names each damaged range; writable says whether its partition takes writes all the same.
func (e *examination) damaged(all []cluster.DamagedRange, writable func(cluster.DamagedRange) bool) {
	for _, d := range all {
		mend := e.restore()
		switch {
		case strings.HasPrefix(d.Topic, "__") || strings.HasPrefix(d.Topic, "replica "):
		case d.First > 0 && d.To >= 0 && writable(d):
			mend += fmt.Sprintf("; or give it up: millstream topic trim %s --partition %d --to %d", d.Topic, d.Partition, d.To+1)
		default:
			mend += fmt.Sprintf("; or give it up: millstream topic delete %s", d.Topic)
		}
		e.add(check{
			Check: "records", State: checkBad, Says: oneLine(fmt.Sprintf("damaged: %s (%s)", d, d.Err)), Mend: mend,
			Damage: []cluster.DamagedRange{d},
		})
	}
}

// space judges what may still be written.
func (e *examination) space(free int64) {
	const mend = "make room on the volume, or: millstream topic alter NAME --config retention.ms=MS"
	switch {
	case free <= 0:
		e.bad("free space", mend, "the volume is full: writes are refused")
	case free < 1<<30:
		e.warn("free space", mend, "%d MiB may be written before writes are refused", free>>20)
	default:
		e.ok("free space", "%d GiB may be written before writes are refused", free>>30)
	}
}

// futureFiles notices a clock that was set back.
func (e *examination) futureFiles() {
	const slack = 5 * time.Minute
	newest, name := time.Time{}, ""
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what goes in this moment is of no interest
		}
		if fi, err := d.Info(); err == nil && fi.ModTime().After(newest) {
			newest, name = fi.ModTime(), path
		}
		return nil
	})
	if ahead := time.Until(newest); err == nil && ahead > slack {
		e.warn("clock", "timedatectl set-ntp true", "%s was written %s in the future: the clock was set back", name,
			ahead.Round(time.Second))
	}
}

// clockJump compares the clock of the wall with the one that only goes on.
func (e *examination) clockJump() {
	const most = time.Second
	went := time.Since(e.began)
	walked := time.Now().Round(0).Sub(e.began.Round(0))
	if jump := walked - went; jump > most || jump < -most {
		e.warn("clock", "timedatectl set-ntp true", "the clock jumped by %s while this ran", jump.Round(time.Millisecond))
	}
}

func (e *examination) restore() string {
	return "restore " + e.place() + " from a copy"
}

// place is the data directory, as far as it is known.
func (e *examination) place() string {
	if e.dir == "" {
		return "DIR"
	}
	return e.dir
}

// progress says on a terminal how long something takes, from the second second on, until the returned function
// is called.
func (s *shell) progress(ctx context.Context, what string) (stop func()) {
	if !s.shown() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		began := time.Now()
		for waitOr(ctx, time.Second) {
			fmt.Fprintf(s.Stderr, "\r%s: %s", what, time.Since(began).Round(time.Second))
		}
		if time.Since(began) > time.Second {
			fmt.Fprint(s.Stderr, "\r\033[K")
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
