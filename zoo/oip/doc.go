// Package oip speaks the Open Inference Protocol, version 2 over HTTP, that
// KServe, Triton and MLServer serve. A [Client] is a remote victim, and a [Handler]
// serves a victim of our own.
//
// # The client
//
// [Dial] reads the model's readiness and metadata. Where the server says too little,
// [Options] say the rest, and the error of Dial names what is missing. [Client.Notes]
// tells what the client concluded by itself, such as channels that come last.
//
// The client sends samples by the binary tensor extension where the server has it, and
// as JSON elsewhere, in the type that the model takes (FP32, FP64, FP16 or UINT8). Both
// encodings give the same scores to the last bit: a number in JSON is rounded to the
// output's type. The client bounds its rate and the requests in flight.
//
// # Failures
//
// The client tries again, with back-off and as Retry-After says, when a failure may
// pass: a request that failed on the way, a status such as 429 or 503, an answer that
// was cut off or is no answer at all. It announces every such request before it sends
// it, because the server may charge it twice; [Client.Stats] has the sums. What the
// server says of a failure is in the error, on one short line.
//
// A score that is null, NaN or missing is an error, never a silent 0. So is an answer of
// status 200 that tells of an error.
//
// A redirect that keeps the request what it is (307, 308) is followed, without the token
// where it leads to another host. One that turns a POST into a GET (301, 302, 303) is an
// error that names the new address.
package oip
