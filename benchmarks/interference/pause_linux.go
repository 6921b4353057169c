package main

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pauser sleeps more exactly than a timer does, which wakes up to milliseconds late where nothing else goes
// on: more than what is measured takes. It keeps its goroutine on one thread.
func pauser() (pause func(time.Duration), done func()) {
	runtime.LockOSThread()
	return func(d time.Duration) {
		t := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&t, nil) // interrupted, it is asked again for what is left
	}, runtime.UnlockOSThread
}
