// Package oip speaks the Open Inference Protocol (version 2, over HTTP) of KServe, Triton
// and MLServer. A [Client] is a remote victim; a [Handler] serves a victim of this library.
//
// # The client
//
// [Dial] reads the model's readiness and metadata. If they are incomplete, set [Options];
// the error of [Dial] names what is missing. [Client.Notes] lists what the client concluded
// by itself, such as channels that come last.
//
// The client sends samples by the binary tensor extension if the server has it, else as
// JSON, in the type that the model takes (FP32, FP64, FP16 or UINT8). Both encodings give
// the same scores to the last bit: a number in JSON is rounded to the output's type. The
// client limits its rate and its concurrent requests.
//
// # Failures
//
// The client retries after a failure that may pass: a broken connection, a status such as
// 429 or 503, or an answer that is cut off or garbled. It backs off, and obeys Retry-After.
// It announces every retry before it sends it (zoo.WithResend), because the server may
// charge twice; [Client.Stats] counts retries. The error holds the server's own message, on
// one short line.
//
// A score that is null, NaN or missing is an error, never a silent 0. So is an answer with
// status 200 that reports an error.
//
// The client follows a redirect that keeps the method (307, 308), but sends the token to
// the original host only. A redirect that turns a POST into a GET (301, 302, 303) is an
// error that names the new address.
package oip
