// Package group is the shell of the coordinator of one consumer group: it feeds group.Coordinator with what
// members ask, and carries out what that decides.
//
//	Join, Sync, Heartbeat, CommitOffsets → core.Step → Append → leader of the offsets partition → Appended
//	                                                 → core.Step → reply to the asker
//
// An activation lives beside the leader of the group's offsets partition, with that leader's term as its
// epoch. It reads the group's rows first; requests that come earlier wait, up to a limit. Each append names
// the term, so that the log refuses a coordinator that is over; it ends then, and whoever asks next activates
// the next one. A group that has nobody in it is put to sleep: its rows stay.
//
// Invariants: the core is touched only in Receive; a request is answered exactly once; nothing is answered
// that hangs on the log before the log has it.
//
// It must not decide anything about members, generations or commits, and never block.
package group
