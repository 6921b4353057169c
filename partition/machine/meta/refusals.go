package meta

import (
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

func topicExists(name string) error {
	return fault.New(fault.TopicAlreadyExists, "topic %s exists already", name).
		WithHint("use it, or delete it first")
}

func unknownTopic(name string) error {
	return fault.New(fault.UnknownTopicOrPartition, "topic %s does not exist", name).
		WithHint("check the name, or make the topic first")
}

func unknownTopicID(id record.TopicID) error {
	return fault.New(fault.UnknownTopicID, "there is no topic of id %s", id).
		WithHint("it was deleted: ask for the metadata again")
}

func unknownMember(id record.MemberID) error {
	return fault.New(fault.InvalidReplicaAssignment, "member %d is unknown", id).
		WithHint("name members that have joined the cluster")
}

func internalTopic(name, verb string) error {
	return fault.New(fault.InvalidTopic, "topic %s is internal: only the cluster itself %s it", name, verb).
		WithHint("choose another topic")
}
