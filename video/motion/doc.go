// Package motion finds out how the contents of a clip move, and makes motion maps of it
// for attacks on video classifiers, such as the Motion-Excited Sampler.
//
// # Conventions
//
// A clip is a tensor [T, C, H, W] with values in [0,1], gray or red, green and blue. Only
// its brightness is looked at ([NewFrames]).
//
// Motion looks back. A [Field] belongs to a frame, the current one, and says of each of
// its pixels where that was in an earlier frame, the reference: what is at (x, y) was at
// (x-DX, y-DY). So a thing that moves to the right has a positive DX, and one that moves
// down a positive DY. The unit is the pixel of the clip, x counts columns and y rows, and
// DX comes first where both are in one array. The arguments of a function have the same
// order as time: the reference, then the current frame.
//
// A vector is subtracted to go back, which [Compensate] does: it moves the reference by a
// field and so predicts the current frame. [PSNR] tells how well. Flow in OpenCV's sense,
// from a first frame forwards to a second, is the negative of the field of the first
// against the second.
//
// Slices that a field or a map shares with others are not to be modified; a comment says
// where.
//
// # Which estimator
//
// [BlockMatch] finds one vector for each block, as an encoder does: piecewise constant,
// few different vectors, the right thing for the Motion-Excited Sampler, which gives
// pixels of equal vectors equal noise. Of its searches [EPZS], the default, is the
// quickest; [ARPS] is about as good on its own; [Diamond] and [ThreeStep] depend on no
// neighbour; [Full] has the least error and is the reference for the others. Full search
// takes about ten times as long as the quick ones for a range of 7 and fifty times for 16.
//
// [Farneback] gives each pixel a vector of its own, with fractions of a pixel, and is
// smooth. [TVL1] keeps edges sharp and errs less, at thirty times the cost. [Given] takes
// vectors that are known already, and anything with the method of [Estimator] can stand
// in their place. All of them give the same bits on any number of workers.
//
// # Over an interval
//
// [Accumulate] adds motion up over frames by following each pixel back. A [Sequence] is
// the motion of a clip, estimated once, a [Cache] keeps those of several clips, and
// [Sequence.Maps] makes the motion maps of the intervals that a [Selector] chooses:
// [Fixed] ones of twelve frames, or [Adapted] to what happens in the clip.
//
// # Nothing moves
//
// The zero vector is tried first, and only a better one takes its place. A clip at rest
// therefore has fields and maps of zeros ([Field.Zero]) with one distinct vector
// ([Field.Distinct]), from every estimator: what to do then is the user's decision. A clip
// of one frame has one map, of zeros.
//
// # Errors
//
// A pixel that is not finite is an error of [NewFrames]. Impossible options, frames that
// do not exist, and sizes that differ are panics with a [*tensor.Error].
package motion
