package cli

import "fmt"

// clock asks whether somebody keeps the clock right.
func (e *examination) clock() {
	if synced, ok := clockSynced(); ok && !synced {
		e.warn("clock", "timedatectl set-ntp true", "the kernel does not know the clock to be synchronised")
	} else if ok {
		e.ok("clock", "synchronised")
	}
}

// fewFiles is how many open files are enough for hundreds of buckets and connections.
const fewFiles = 4096

func (e *examination) openFiles(who string, limit uint64) {
	if limit > 0 && limit < fewFiles {
		e.warn("open files", "ulimit -n 65536   (of a service: LimitNOFILE=65536)", "%s may open %d files, %d are advised",
			who, limit, fewFiles)
		return
	}
	e.ok("open files", "%s may open %d", who, limit)
}

// volume looks at the file system and the device that the data is on.
func (e *examination) volume() {
	kind, risk := fileSystem(e.dir)
	switch {
	case risk != "":
		e.warn("file system", "millstream server --data /var/lib/millstream   (a directory on a local disk)", "%s is on %s: %s",
			e.dir, kind, risk)
	case kind != "":
		e.ok("file system", "%s", kind)
	}
	if device, kb, ok := readAhead(e.dir); ok {
		e.readAhead(device, kb)
	}
}

// muchReadAhead is from where on, in KB, reads of scattered records drag in far more than they need.
const muchReadAhead = 512

func (e *examination) readAhead(device string, kb int) {
	if kb <= muchReadAhead {
		e.ok("read-ahead", "%d KB on %s", kb, device)
		return
	}
	e.warn("read-ahead", fmt.Sprintf(`echo 128 > /sys/block/%s/queue/read_ahead_kb   (to stay: echo 'ACTION=="add|change", `+
		`KERNEL=="%s", ATTR{queue/read_ahead_kb}="128"' > /etc/udev/rules.d/60-millstream.rules)`, device, device),
		"%d KB on %s: each read of old records drags in so much; at most %d are advised", kb, device, muchReadAhead)
}
