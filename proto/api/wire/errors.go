package wire

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
)

// Domain is the domain of every google.rpc.ErrorInfo that a member sends.
const Domain = "millstream.io"

// Keys of the metadata of an ErrorInfo.
const (
	keyHint      = "hint"
	keyRetryable = "retryable"
	keyKafka     = "kafka_code"
)

// maxText bounds the text of a refusal in bytes: it may quote a name as long as the client likes, and a status
// travels in headers, which clients bound.
const maxText = 1500

// ErrorOf is a refusal inside an answer, nil for nil.
func ErrorOf(err error) *apiv1.Error {
	if err == nil {
		return nil
	}
	code := fault.CodeOf(err)
	e := &apiv1.Error{
		Code: code.Reason(), Message: cut(err.Error()), Retryable: code.Retryable(), KafkaCode: int32(code.Kafka()),
	}
	var f *fault.Error
	if errors.As(err, &f) {
		e.Message, e.Hint = cut(messageOf(err, f)), cut(f.Hint)
	}
	return e
}

// messageOf is what an error says, without the hint of the refusal in it.
func messageOf(err error, f *fault.Error) string {
	if f.Hint == "" {
		return err.Error()
	}
	return strings.TrimSuffix(err.Error(), "; "+f.Hint)
}

func cut(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// Refusal is the error that an Error stands for, nil for nil. A code of a newer build is fault.Unknown.
func Refusal(e *apiv1.Error) error {
	if e == nil {
		return nil
	}
	return refusal(e.Code, e.Message, e.Hint)
}

func refusal(reason, message, hint string) error {
	code, ok := fault.CodeOfReason(reason)
	if !ok {
		code = fault.Unknown
		message = strings.TrimPrefix(reason+": "+message, ": ")
	}
	f := fault.New(code, "%s", message)
	if hint != "" {
		f = f.WithHint("%s", hint)
	}
	return f
}

// StatusOf is the error that ends a call, nil for nil: a status whose details hold an ErrorInfo. The end of the
// caller's context stays what gRPC makes of it.
func StatusOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded) && fault.CodeOf(err) == fault.Unknown:
		return status.Error(codes.DeadlineExceeded, err.Error())
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	e := ErrorOf(err)
	s := status.New(codes.Code(fault.CodeOf(err).GRPC()), e.Message)
	d, wrong := s.WithDetails(&errdetails.ErrorInfo{
		Reason: e.Code, Domain: Domain, Metadata: map[string]string{
			keyHint: e.Hint, keyRetryable: strconv.FormatBool(e.Retryable), keyKafka: strconv.Itoa(int(e.KafkaCode)),
		},
	})
	if wrong != nil {
		return s.Err()
	}
	return d.Err()
}

// RefusalOf is the error of a call as the caller sees it in-process: the refusal where the member sent one, nil for
// nil. Other errors (a broken connection, a deadline) and io.EOF come back as they are.
func RefusalOf(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == Domain {
			return refusal(info.Reason, s.Message(), info.Metadata[keyHint])
		}
	}
	return err
}
