package group

// ReqID pairs a request with its Reply. The shell gives a new one, above 0, to each request of one life.
type ReqID uint64

// Input is one thing that happened to a group: a request, the end of an append, or time passing.
type Input interface{ input() }

// Request is an Input that comes from a client. Numbered returns it with a number, which its Reply carries.
type Request interface {
	Input
	Numbered(r ReqID) Request
}

// Identity is who a member says it is. ID is empty for one that has none yet. Instance is the name of a
// static member (group.instance.id), empty for a dynamic one.
type Identity struct {
	ID       string
	Instance string
}

// Protocol is a way to share the partitions that a member knows, and what it tells others about itself in
// it. Both are opaque; the bytes belong to the coordinator.
type Protocol struct {
	Name     string
	Metadata []byte
}

// Join asks to be a member of the next generation; answered by Joined when that begins. RebalanceMs and
// SessionMs are what the member wants. With KnownID a dynamic member without an id is not taken but told its
// id, with fault.MemberIDRequired, to come again with it (KIP-394). CanSkip says that a leader who is told to
// skip the assignment understands (version 9 of the request).
//
// Errors: fault.UnknownMember, fault.FencedInstanceID, fault.InconsistentGroupProtocol (also for who would be in a
// group with the tasks of an application), fault.InvalidSessionTimeout, fault.GroupMaxSizeReached, fault.MemberIDRequired.
type Join struct {
	Req          ReqID
	Who          Identity
	ClientID     string
	ClientHost   string
	SessionMs    int32
	RebalanceMs  int32
	ProtocolType string
	Protocols    []Protocol // by the member's preference
	KnownID      bool
	CanSkip      bool
}

// Joined answers Join. Members is there for the leader only. With an error only Member counts: the id that
// was sent, or the one to come again with.
type Joined struct {
	Member         string
	Generation     int32
	ProtocolType   string
	Protocol       string
	Leader         string
	SkipAssignment bool
	Members        []JoinedMember
}

// JoinedMember is one member as the leader learns of it. Metadata is not to be changed.
type JoinedMember struct {
	Identity
	Metadata []byte
}

// Sync asks for the assignment of the member's generation, and brings those of all where it comes from the
// leader; answered by Synced when they are stored. ProtocolType and Protocol are checked where they are not
// empty.
//
// Errors: fault.UnknownMember, fault.FencedInstanceID, fault.IllegalGeneration, fault.RebalanceInProgress,
// fault.InconsistentGroupProtocol, fault.RecordTooLarge.
type Sync struct {
	Req          ReqID
	Who          Identity
	Generation   int32
	ProtocolType string
	Protocol     string
	Assignments  []Assignment
}

// Assignment is what one member gets. The bytes belong to the coordinator.
type Assignment struct {
	Member string
	Bytes  []byte
}

// Synced answers Sync. Assignment is not to be changed.
type Synced struct {
	ProtocolType string
	Protocol     string
	Assignment   []byte
}

// Heartbeat says that a member is there; answered with nothing. Errors: fault.UnknownMember,
// fault.FencedInstanceID, fault.IllegalGeneration, and fault.RebalanceInProgress, which tells it to join
// again.
type Heartbeat struct {
	Req        ReqID
	Who        Identity
	Generation int32
}

// Leave takes members out; answered by Left. A static member may be named by its instance alone.
type Leave struct {
	Req     ReqID
	Members []Identity
	Reason  string // as the client says it, empty where it does not
}

// Left answers Leave: one error, or nil, for each member of the request: fault.UnknownMember,
// fault.FencedInstanceID.
type Left struct{ Errs []error }

// CommitOffsets asks for positions to be stored; answered with nothing. A commit with NoGeneration and no
// identity is taken while the group has no members. NowMs of the log is the time of the Step.
//
// Errors: fault.UnknownMember, fault.FencedInstanceID, fault.IllegalGeneration, fault.RebalanceInProgress,
// what Frame refuses, and what kept the append from being committed.
type CommitOffsets struct {
	Req        ReqID
	Who        Identity
	Generation int32
	Positions  []Position
}

// DeleteOffsets asks for positions to be forgotten; answered by OffsetsDeleted. Error: fault.GroupIDNotFound,
// fault.NonEmptyGroup for a group with members whose subscriptions can't be read.
type DeleteOffsets struct {
	Req        ReqID
	Partitions []TopicPartition
}

// OffsetsDeleted answers DeleteOffsets: one error, or nil, for each partition of the request:
// fault.GroupSubscribedToTopic.
type OffsetsDeleted struct{ Errs []error }

// Delete asks for a group without members to go, with its positions; answered with nothing. Errors:
// fault.GroupIDNotFound, fault.NonEmptyGroup.
type Delete struct{ Req ReqID }

// Describe asks what the group is; answered by Description.
type Describe struct{ Req ReqID }

// ForgetTopics says that topics were deleted: positions in them that were committed at BeforeMs or earlier are
// to be forgotten, so that a topic made anew under the name is not begun in its middle. It has no reply.
type ForgetTopics struct {
	Topics   []string
	BeforeMs int64
}

// Expire asks for what is older than Settings.Retention to be forgotten, if the group has no members. It has
// no reply.
type Expire struct{}

// Appended says how the Append of the same token ended: nil when it is committed.
type Appended struct {
	Token uint64
	Err   error
}

// Tick says that the time named by Effects.Wake has come.
type Tick struct{}

func (Join) input()          {}
func (Sync) input()          {}
func (Heartbeat) input()     {}
func (Leave) input()         {}
func (CommitOffsets) input() {}
func (DeleteOffsets) input() {}
func (Delete) input()        {}
func (Describe) input()      {}
func (ForgetTopics) input()  {}
func (Expire) input()        {}
func (Appended) input()      {}
func (Tick) input()          {}

// Numbered implements Request.
func (in Join) Numbered(r ReqID) Request { in.Req = r; return in }

// Numbered implements Request.
func (in Sync) Numbered(r ReqID) Request { in.Req = r; return in }

// Numbered implements Request.
func (in Heartbeat) Numbered(r ReqID) Request { in.Req = r; return in }

// Numbered implements Request.
func (in Leave) Numbered(r ReqID) Request { in.Req = r; return in }

// Numbered implements Request.
func (in CommitOffsets) Numbered(r ReqID) Request { in.Req = r; return in }

// Numbered implements Request.
func (in DeleteOffsets) Numbered(r ReqID) Request { in.Req = r; return in }

// Numbered implements Request.
func (in Delete) Numbered(r ReqID) Request { in.Req = r; return in }

// Numbered implements Request.
func (in Describe) Numbered(r ReqID) Request { in.Req = r; return in }

// Numbered implements Request; there is no Reply.
func (in ForgetTopics) Numbered(ReqID) Request { return in }

// Numbered implements Request; there is no Reply.
func (in Expire) Numbered(ReqID) Request { return in }
