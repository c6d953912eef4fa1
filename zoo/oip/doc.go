// Package oip speaks the Open Inference Protocol, version 2 over HTTP, that
// KServe, Triton and MLServer serve: a [Client] is a remote victim, a [Handler]
// serves a victim of our own.
//
// The client reads the model's readiness and metadata, sends samples by the binary
// tensor extension where the server has it and as JSON elsewhere, in the type that the
// model takes (FP32, FP64, FP16 or UINT8), bounds its rate and the requests in flight,
// and tries again with back-off (honouring Retry-After) when a failure may pass.
// A score that is null, NaN or missing is an error, never a silent 0.
package oip
