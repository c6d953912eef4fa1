// Package oip speaks the Open Inference Protocol, version 2 over HTTP, that
// KServe, Triton and MLServer serve: a [Client] is a remote victim, a [Handler]
// serves a victim of our own.
//
// The client reads the model's readiness and metadata, sends samples as JSON or
// by the binary tensor extension, bounds its rate and the requests in flight,
// and tries again with back-off (honouring Retry-After) when a failure may pass.
// A score that is null, NaN or missing is an error, never a silent 0.
package oip
