package grpc_test

import (
	"context"
	"strings"
	"testing"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/millstream-io/millstream/cluster"
)

// described asks the reflection service for a symbol and everything that it needs, as grpcurl does.
func described(t *testing.T, ctx context.Context, conn *rpc.ClientConn, symbol string) *protoregistry.Files {
	t.Helper()
	s, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.CloseSend()
	ask := func(r *reflectionv1.ServerReflectionRequest) (files []*descriptorpb.FileDescriptorProto) {
		if err := s.Send(r); err != nil {
			t.Fatal(err)
		}
		a, err := s.Recv()
		if err != nil || a.GetErrorResponse() != nil {
			t.Fatal(err, a)
		}
		for _, b := range a.GetFileDescriptorResponse().FileDescriptorProto {
			f := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(b, f); err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		return files
	}
	set, seen := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	queue := ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol},
	})
	for len(queue) > 0 {
		f := queue[0]
		queue = queue[1:]
		if seen[f.GetName()] {
			continue
		}
		seen[f.GetName()] = true
		set.File = append(set.File, f)
		for _, d := range f.Dependency {
			if !seen[d] {
				queue = append(queue, ask(&reflectionv1.ServerReflectionRequest{
					MessageRequest: &reflectionv1.ServerReflectionRequest_FileByFilename{FileByFilename: d},
				})...)
			}
		}
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Goal: a tool that knows nothing but the address can call: reflection tells it how. Method: as grpcurl, messages are
// made from the descriptors that the member sends and from JSON; Publish, then Read what was published. The connection
// has gRPC's own codec.
func TestReflection(t *testing.T) {
	w := newWorld(t, func(c *cluster.Config) { c.AutoCreateTopics = true })
	conn := w.dial(rpc.WithTransportCredentials(insecure.NewCredentials()),
		rpc.WithDefaultCallOptions(rpc.CallContentSubtype("proto")))
	const service = "millstream.api.v1.Records"
	d, err := described(t, w.ctx, conn, service).FindDescriptorByName(service)
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, in string) string {
		t.Helper()
		m := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
		request, answer := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
		if err := protojson.Unmarshal([]byte(in), request); err != nil {
			t.Fatal(err)
		}
		if err := conn.Invoke(w.ctx, "/"+service+"/"+method, request, answer); err != nil {
			t.Fatal(err)
		}
		list := answer.Get(m.Output().Fields().Get(0)).List()
		if list.Len() != 1 {
			t.Fatalf("%s answered %v", method, answer)
		}
		return string(answer.Descriptor().Name()) + " " + list.Get(0).Message().Interface().(*dynamicpb.Message).String()
	}
	call("Publish", `{"topic": "t", "records": [{"key": "a2V5", "value": "dmFsdWU="}]}`)
	got := call("Read", `{"partitions": [{"topic": "t"}]}`)
	raw := call("Read", `{"partitions": [{"topic": "t"}], "form": "FORM_BATCHES"}`)
	for _, want := range []struct{ in, text string }{{got, `"key"`}, {got, `"value"`}, {raw, "batches:"}} {
		if !strings.Contains(want.in, want.text) {
			t.Errorf("%s is not in %s", want.text, want.in)
		}
	}
}
