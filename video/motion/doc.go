// Package motion estimates the motion in a clip, and makes motion maps for attacks on video
// classifiers, such as the Motion-Excited Sampler.
//
// # Conventions
//
// A clip is a tensor [T, C, H, W] with values in [0,1], gray or red, green and blue. The
// estimators use only its brightness ([NewFrames]).
//
// Motion looks back. A [Field] belongs to the current frame and says where each of its
// pixels was in an earlier frame, the reference: the pixel at (x, y) was at (x-DX, y-DY).
// An object that moves to the right has a positive DX, and one that moves down a positive
// DY. The unit is the pixel of the clip; x counts columns and y rows, and DX comes before
// DY. Arguments are in the order of time: the reference, then the current frame.
//
// To go back in time, subtract the vector. [Compensate] does so: it predicts the current
// frame from the reference and a field. [PSNR] measures the prediction. OpenCV's flow,
// forward from a first frame to a second, is the negative of the field of the first against
// the second.
//
// Comments say where fields or maps share slices, which must not be modified.
//
// # Which estimator
//
// [BlockMatch] finds one vector per block, as a video encoder does: piecewise constant,
// with few different vectors. This suits the Motion-Excited Sampler, which gives pixels
// with equal vectors equal noise. [EPZS], the default search, is the fastest. [ARPS] is
// about as good without the previous field. [Diamond] and [ThreeStep] do not depend on
// neighbours. [Full] has the least error and is the reference for the others; it takes
// about ten times as long as the fast searches for a range of 7, and fifty times for 16.
//
// [Farneback] gives each pixel its own smooth vector, with fractions of a pixel. [TVL1]
// keeps edges sharp and has a smaller error, at thirty times the cost. [Given] takes known
// vectors. Other packages may implement [Estimator]. All estimators here give the same bits
// on any number of workers.
//
// # Over an interval
//
// [Accumulate] adds up motion over frames by following each pixel back. A [Sequence] is the
// motion of a clip, estimated once; a [Cache] keeps those of several clips. [Sequence.Maps]
// makes the motion maps of the intervals that a [Selector] chooses: [Fixed] ones of twelve
// frames, or ones [Adapted] to the clip.
//
// # Nothing moves
//
// Estimators try the zero vector first, and only a better one replaces it. For a clip at
// rest every estimator therefore gives fields and maps of zeros ([Field.Zero], and a
// [Field.Distinct] of 1). A clip of one frame has one map, of zeros.
//
// # Errors
//
// [NewFrames] returns an error for a pixel that is not finite. Options out of range, frames
// that do not exist, and different sizes panic with a [*tensor.Error].
package motion
