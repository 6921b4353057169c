package fault

import "strings"

// Code names a refusal. Its values are this project's own; Kafka, GRPC and HTTP give the numbers of the
// wires.
type Code uint8

// Family says what the receiver of a refusal should do.
type Family uint8

// The families.
const (
	FamilyNone   Family = iota
	FamilyCaller        // fix the request
	FamilyPlace         // ask somebody else
	FamilyLimit         // slow down, or make it smaller
	FamilyWait          // the same again, later
	FamilyDamage        // page someone
)

// The codes. Names follow Kafka's error table where it has one.
const (
	None Code = iota
	Unknown
	OffsetOutOfRange
	CorruptRecord
	UnknownTopicOrPartition
	LeaderNotAvailable
	NotLeader
	RequestTimedOut
	RecordTooLarge
	CoordinatorLoadInProgress
	CoordinatorNotAvailable
	NotCoordinator
	InvalidTopic
	RecordListTooLarge
	NotEnoughReplicas
	InvalidRequiredAcks
	IllegalGeneration
	UnknownMember
	UnsupportedVersion
	TopicAlreadyExists
	InvalidPartitions
	InvalidReplicationFactor
	InvalidReplicaAssignment
	InvalidConfig
	NotController
	InvalidRequest
	UnsupportedFormat
	PolicyViolation
	OutOfOrderSequence
	DuplicateSequence
	InvalidProducerEpoch
	InvalidTransactionState
	StorageError
	UnknownProducer
	FencedLeaderEpoch
	UnknownLeaderEpoch
	UnsupportedCompression
	OffsetNotAvailable
	ProducerFenced
	InvalidRecord
	UnknownTopicID
	InconsistentTopicID
	InvalidTimestamp
	ThrottlingQuotaExceeded
	DiskFull
	Closing
	OffsetMetadataTooLarge
	InconsistentGroupProtocol
	InvalidGroupID
	InvalidSessionTimeout
	RebalanceInProgress
	NonEmptyGroup
	GroupIDNotFound
	MemberIDRequired
	GroupMaxSizeReached
	FencedInstanceID
	GroupSubscribedToTopic
	Unreachable // made by a client: the connection broke or could not be made
	UnknownApp  // no application of that name runs here
	UnknownStore
	TaskNotRunning // the task that has the rows starts, is restored, or has ended
	codeCount
)

type row struct {
	name   string
	kafka  int16
	grpc   uint32
	http   int
	family Family
	retry  bool
}

// gRPC status numbers, written out because no wire library may be imported here.
const (
	grpcOK                 = 0
	grpcUnknown            = 2
	grpcInvalidArgument    = 3
	grpcDeadlineExceeded   = 4
	grpcNotFound           = 5
	grpcAlreadyExists      = 6
	grpcResourceExhausted  = 8
	grpcFailedPrecondition = 9
	grpcAborted            = 10
	grpcOutOfRange         = 11
	grpcUnimplemented      = 12
	grpcUnavailable        = 14
	grpcDataLoss           = 15
)

// table is THE error table: one row a code.
var table = [codeCount]row{
	None:                      {"none", 0, grpcOK, 200, FamilyNone, false},
	Unknown:                   {"unknown", -1, grpcUnknown, 500, FamilyDamage, false},
	OffsetOutOfRange:          {"offset out of range", 1, grpcOutOfRange, 416, FamilyCaller, false},
	CorruptRecord:             {"corrupt record", 2, grpcDataLoss, 400, FamilyCaller, true},
	UnknownTopicOrPartition:   {"unknown topic or partition", 3, grpcNotFound, 404, FamilyPlace, true},
	LeaderNotAvailable:        {"leader not available", 5, grpcUnavailable, 503, FamilyPlace, true},
	NotLeader:                 {"not leader", 6, grpcUnavailable, 503, FamilyPlace, true},
	RequestTimedOut:           {"request timed out", 7, grpcDeadlineExceeded, 504, FamilyWait, true},
	RecordTooLarge:            {"record too large", 10, grpcInvalidArgument, 413, FamilyLimit, false},
	CoordinatorLoadInProgress: {"coordinator is loading", 14, grpcUnavailable, 503, FamilyWait, true},
	CoordinatorNotAvailable:   {"coordinator not available", 15, grpcUnavailable, 503, FamilyPlace, true},
	NotCoordinator:            {"not coordinator", 16, grpcUnavailable, 503, FamilyPlace, true},
	InvalidTopic:              {"invalid topic", 17, grpcInvalidArgument, 400, FamilyCaller, false},
	RecordListTooLarge:        {"record list too large", 18, grpcInvalidArgument, 413, FamilyLimit, false},
	NotEnoughReplicas:         {"not enough replicas", 19, grpcUnavailable, 503, FamilyWait, true},
	InvalidRequiredAcks:       {"invalid required acks", 21, grpcInvalidArgument, 400, FamilyCaller, false},
	IllegalGeneration:         {"illegal generation", 22, grpcAborted, 409, FamilyPlace, false},
	UnknownMember:             {"unknown member", 25, grpcNotFound, 404, FamilyPlace, false},
	UnsupportedVersion:        {"unsupported version", 35, grpcUnimplemented, 400, FamilyCaller, false},
	TopicAlreadyExists:        {"topic already exists", 36, grpcAlreadyExists, 409, FamilyCaller, false},
	InvalidPartitions:         {"invalid partitions", 37, grpcInvalidArgument, 400, FamilyCaller, false},
	InvalidReplicationFactor:  {"invalid replication factor", 38, grpcInvalidArgument, 400, FamilyCaller, false},
	InvalidReplicaAssignment:  {"invalid replica assignment", 39, grpcInvalidArgument, 400, FamilyCaller, false},
	InvalidConfig:             {"invalid config", 40, grpcInvalidArgument, 400, FamilyCaller, false},
	NotController:             {"not controller", 41, grpcUnavailable, 503, FamilyPlace, true},
	InvalidRequest:            {"invalid request", 42, grpcInvalidArgument, 400, FamilyCaller, false},
	UnsupportedFormat:         {"unsupported message format", 43, grpcInvalidArgument, 400, FamilyCaller, false},
	PolicyViolation:           {"policy violation", 44, grpcFailedPrecondition, 403, FamilyCaller, false},
	OutOfOrderSequence:        {"out of order sequence", 45, grpcAborted, 409, FamilyCaller, false},
	DuplicateSequence:         {"duplicate sequence", 46, grpcAlreadyExists, 409, FamilyCaller, false},
	InvalidProducerEpoch:      {"invalid producer epoch", 47, grpcAborted, 409, FamilyPlace, false},
	InvalidTransactionState:   {"invalid transaction state", 48, grpcFailedPrecondition, 409, FamilyCaller, false},
	StorageError:              {"storage error", 56, grpcUnavailable, 503, FamilyDamage, true},
	UnknownProducer:           {"unknown producer", 59, grpcAborted, 409, FamilyCaller, false},
	FencedLeaderEpoch:         {"fenced leader epoch", 74, grpcAborted, 409, FamilyPlace, true},
	UnknownLeaderEpoch:        {"unknown leader epoch", 75, grpcUnavailable, 503, FamilyPlace, true},
	UnsupportedCompression:    {"unsupported compression", 76, grpcInvalidArgument, 400, FamilyCaller, false},
	OffsetNotAvailable:        {"offset not available", 78, grpcUnavailable, 503, FamilyWait, true},
	ProducerFenced:            {"producer fenced", 90, grpcAborted, 409, FamilyPlace, false},
	InvalidRecord:             {"invalid record", 87, grpcInvalidArgument, 400, FamilyCaller, false},
	UnknownTopicID:            {"unknown topic id", 100, grpcNotFound, 404, FamilyPlace, true},
	InconsistentTopicID:       {"inconsistent topic id", 103, grpcNotFound, 404, FamilyPlace, true},
	InvalidTimestamp:          {"invalid timestamp", 32, grpcInvalidArgument, 400, FamilyCaller, false},
	ThrottlingQuotaExceeded:   {"throttling quota exceeded", 89, grpcResourceExhausted, 429, FamilyLimit, true},
	DiskFull:                  {"disk full", 56, grpcResourceExhausted, 507, FamilyLimit, true},
	Closing:                   {"member is closing", 6, grpcUnavailable, 503, FamilyPlace, true},
	OffsetMetadataTooLarge:    {"offset metadata too large", 12, grpcInvalidArgument, 413, FamilyLimit, false},
	InconsistentGroupProtocol: {"inconsistent group protocol", 23, grpcInvalidArgument, 400, FamilyCaller, false},
	InvalidGroupID:            {"invalid group id", 24, grpcInvalidArgument, 400, FamilyCaller, false},
	InvalidSessionTimeout:     {"invalid session timeout", 26, grpcInvalidArgument, 400, FamilyCaller, false},
	RebalanceInProgress:       {"rebalance in progress", 27, grpcAborted, 409, FamilyPlace, false},
	NonEmptyGroup:             {"group is not empty", 68, grpcFailedPrecondition, 409, FamilyCaller, false},
	GroupIDNotFound:           {"group id not found", 69, grpcNotFound, 404, FamilyPlace, false},
	MemberIDRequired:          {"member id required", 79, grpcFailedPrecondition, 409, FamilyCaller, false},
	GroupMaxSizeReached:       {"group has its largest size", 81, grpcResourceExhausted, 429, FamilyLimit, false},
	FencedInstanceID:          {"fenced instance id", 82, grpcAborted, 409, FamilyPlace, false},
	GroupSubscribedToTopic:    {"group is subscribed to the topic", 86, grpcFailedPrecondition, 409, FamilyCaller, false},
	Unreachable:               {"member unreachable", 13, grpcUnavailable, 503, FamilyPlace, true},
	UnknownApp:                {"unknown application", 69, grpcNotFound, 404, FamilyPlace, false},
	UnknownStore:              {"unknown store", 42, grpcNotFound, 404, FamilyCaller, false},
	TaskNotRunning:            {"task is not running", 14, grpcUnavailable, 503, FamilyWait, true},
}

// Kafka returns the error code of the Kafka protocol.
func (c Code) Kafka() int16 { return c.row().kafka }

// GRPC returns the gRPC status number.
func (c Code) GRPC() uint32 { return c.row().grpc }

// HTTP returns the HTTP status.
func (c Code) HTTP() int { return c.row().http }

// Family says what the receiver should do.
func (c Code) Family() Family { return c.row().family }

// Retryable reports whether the same request may succeed later.
func (c Code) Retryable() bool { return c.row().retry }

// String returns the code's name in words.
func (c Code) String() string { return c.row().name }

// Error makes a bare code usable as the target of errors.Is.
func (c Code) Error() string { return c.row().name }

func (c Code) row() row {
	if c >= codeCount {
		return table[Unknown]
	}
	return table[c]
}

// Reason returns the code's name as gRPC's error details carry it, such as NOT_LEADER. It is stable.
func (c Code) Reason() string { return reasonOf(c.row().name) }

func reasonOf(name string) string { return strings.ToUpper(strings.ReplaceAll(name, " ", "_")) }

// CodeOfReason returns the code that has the name; ok is false for a name of a newer build.
func CodeOfReason(reason string) (c Code, ok bool) {
	c, ok = reasons[reason]
	return c, ok
}

var reasons = func() map[string]Code {
	m := make(map[string]Code, codeCount)
	for c := None; c < codeCount; c++ {
		m[reasonOf(table[c].name)] = c
	}
	return m
}()
