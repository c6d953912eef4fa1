package motion

// An Estimator finds the motion between two frames: [BlockMatch], [Farneback], [TVL1], or
// another source of vectors, such as a video decoder.
type Estimator interface {
	// Estimate returns the motion of frame cur against frame ref, a field of the size of
	// the frames. It is safe for concurrent use.
	Estimate(f *Frames, ref, cur int) *Field
}
