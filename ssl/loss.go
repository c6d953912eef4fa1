package ssl

import (
	"fmt"

	"github.com/mettleml/mettle/autograd"
	"github.com/mettleml/mettle/tensor"
)

// tiny keeps the length of a row of zeros from dividing by 0.
const tiny = 1e-12

// pair panics for op unless u and v are [n, d] alike with at least least rows.
func pair(op string, u, v autograd.Var, least int) {
	if u.Rank() != 2 || v.Rank() != 2 || u.Dim(0) != v.Dim(0) || u.Dim(1) != v.Dim(1) || u.Dim(0) < least {
		tensor.Panic(op, fmt.Sprintf("want two [n, d] with n at least %d", least), u.Shape(), v.Shape())
	}
}

// NTXent is the loss of SimCLR (Chen et al., "A simple framework for contrastive learning
// of visual representations", 2020): with z the 2n rows of u and v divided by their
// lengths, p(i) the other view of i and T the temperature,
//
//	-1/2n Σ_i log [ exp(z_i·z_p(i)/T) / Σ_{k≠i} exp(z_i·z_k/T) ]
//
// u and v are [n, d] with n at least 2. It panics unless T is positive.
func NTXent(u, v autograd.Var, temperature float64) autograd.Var {
	const op = "ssl.NTXent"
	pair(op, u, v, 2)
	return ntXent(op, autograd.ConcatCopy(0, u, v), temperature)
}

// ntXent is NTXent for the rows of both views one after the other.
func ntXent(op string, z autograd.Var, temperature float64) autograd.Var {
	positive(op, "the temperature", temperature)
	n := z.Dim(0) / 2
	labels := make([]int, 2*n)
	for i := range n { // of the 2n-1 others, in order
		labels[i], labels[n+i] = n+i-1, i
	}
	return autograd.CrossEntropy(offDiagonal(similarities(z, temperature)), labels, autograd.CrossEntropyOptions{})
}

// similarities returns the cosines of all pairs of rows, divided by a temperature.
func similarities(z autograd.Var, temperature float64) autograd.Var {
	z = autograd.NormalizeRows(z, tiny)
	return autograd.Scale(autograd.MatMulT(z, z), float32(1/temperature))
}

// offDiagonal returns the matrix s [m, m] without its diagonal, [m, m-1]: without the first
// element the rows of m+1 begin behind one element of the diagonal and end with the next.
func offDiagonal(s autograd.Var) autograd.Var {
	m := s.Dim(0)
	flat := autograd.NarrowCopy(autograd.Reshape(s, m*m), 0, 1, m*m, 1)
	return autograd.Reshape(autograd.NarrowCopy(autograd.Reshape(flat, m-1, m+1), 1, 0, m, 1), m, m-1)
}

// InfoNCE is the loss of classifying which row of k belongs to each row of q (van den Oord
// et al., "Representation learning with contrastive predictive coding", 2018):
//
//	-1/n Σ_i log [ exp(q_i·k_i/T) / Σ_j exp(q_i·k_j/T) ]
//
// with rows divided by their lengths. q and k are [n, d] with n at least 2. It panics
// unless T is positive.
func InfoNCE(q, k autograd.Var, temperature float64) autograd.Var {
	const op = "ssl.InfoNCE"
	pair(op, q, k, 2)
	positive(op, "the temperature", temperature)
	s := autograd.MatMulT(autograd.NormalizeRows(q, tiny), autograd.NormalizeRows(k, tiny))
	return autograd.CrossEntropy(autograd.Scale(s, float32(1/temperature)), upTo(q.Dim(0)), autograd.CrossEntropyOptions{})
}

// upTo returns 0, 1, ..., n-1.
func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// QueueNCE is the loss of MoCo (He et al., "Momentum contrast for unsupervised visual
// representation learning", 2020): the negatives of q_i are the rows of a queue [K, d]
// instead of the other keys,
//
//	-1/n Σ_i log [ exp(q_i·k_i/T) / (exp(q_i·k_i/T) + Σ_j exp(q_i·queue_j/T)) ]
//
// Rows of q and k are divided by their lengths; those of the queue must have length 1. It
// panics if the shapes do not fit or T is not positive.
func QueueNCE(q, k, queue autograd.Var, temperature float64) autograd.Var {
	const op = "ssl.QueueNCE"
	pair(op, q, k, 1)
	positive(op, "the temperature", temperature)
	if queue.Rank() != 2 || queue.Dim(1) != q.Dim(1) || queue.Dim(0) == 0 {
		tensor.Panic(op, "want a queue [K, d]", q.Shape(), queue.Shape())
	}
	q, k = autograd.NormalizeRows(q, tiny), autograd.NormalizeRows(k, tiny)
	own := autograd.Reshape(autograd.SumAxes(autograd.Mul(q, k), 1), q.Dim(0), 1)
	logits := autograd.ConcatCopy(1, own, autograd.MatMulT(q, queue))
	return autograd.CrossEntropy(autograd.Scale(logits, float32(1/temperature)), make([]int, q.Dim(0)), autograd.CrossEntropyOptions{})
}

// SupervisedNCE is the loss of supervised contrastive learning, L_out of Khosla et al.
// ("Supervised contrastive learning", 2020). With P(i) the other rows of the class of i it
// is
//
//	1/m Σ_i -1/|P(i)| Σ_{p in P(i)} log [ exp(z_i·z_p/T) / Σ_{k≠i} exp(z_i·z_k/T) ]
//
// z is [m, d] with one label per row; rows are divided by their lengths. Rows without a
// positive are left out of the mean. It panics if there is none, the labels do not fit, or
// T is not positive.
func SupervisedNCE(z autograd.Var, labels []int, temperature float64) autograd.Var {
	const op = "ssl.SupervisedNCE"
	positive(op, "the temperature", temperature)
	if z.Rank() != 2 || z.Dim(0) != len(labels) || len(labels) < 2 {
		tensor.Panic(op, fmt.Sprintf("%d labels for [m, d] with m at least 2", len(labels)), z.Shape())
	}
	m := len(labels)
	target := tensor.New(m, m-1)
	anchors := 0
	for i, y := range labels {
		row, count := target.Data()[i*(m-1):][:m-1], 0
		for j, other := range labels {
			if j == i || other != y {
				continue
			}
			count++
			if j < i {
				row[j] = 1
			} else {
				row[j-1] = 1
			}
		}
		if count > 0 {
			anchors++
		}
		for j := range row {
			row[j] /= float32(max(count, 1))
		}
	}
	if anchors == 0 {
		tensor.Panic(op, "no two rows have one label", z.Shape())
	}
	logits := offDiagonal(similarities(z, temperature))
	sum := autograd.SoftCrossEntropy(logits, z.Tape().Input(target), autograd.ReduceSum)
	return autograd.Scale(sum, 1/float32(anchors))
}

// BarlowTwins is the loss of Zbontar et al. ("Barlow twins: self-supervised learning via
// redundancy reduction", 2021). The columns of u and v are standardised by the mean and the
// population variance plus eps of the batch. With C = uᵀv/n the loss is
//
//	Σ_i (1-C_ii)² + λ Σ_{i≠j} C_ij²
//
// u and v are [n, d] with n and d at least 2. The authors' λ is 0.0051 and eps 1e-5.
func BarlowTwins(u, v autograd.Var, lambda, eps float64) autograd.Var {
	const op = "ssl.BarlowTwins"
	pair(op, u, v, 2)
	n, d := u.Dim(0), u.Dim(1)
	if d < 2 {
		tensor.Panic(op, "one column has no others", u.Shape())
	}
	standard := func(x autograd.Var) autograd.Var {
		return autograd.BatchNorm(x, autograd.Var{}, autograd.Var{}, autograd.BatchNormOptions{Eps: eps})
	}
	c := autograd.Scale(autograd.MatMul(autograd.TransposeCopy(standard(u)), standard(v)), 1/float32(n))
	// Σ over the diagonal of (1-C)² is d - 2 tr C + Σ C², but the difference of large
	// numbers is not taken: the diagonal is picked.
	diagonal := autograd.Pick(c, upTo(d))
	on := autograd.Sum(autograd.Square(autograd.Affine(diagonal, -1, 1)))
	off := autograd.Sum(autograd.Square(offDiagonal(c)))
	return autograd.Add(on, autograd.Scale(off, float32(lambda)))
}

// VICRegWeights are the factors of the three terms of [VICReg].
type VICRegWeights struct {
	Invariance float64 `json:"invariance,omitempty"` // 0 means 25
	Variance   float64 `json:"variance,omitempty"`   // 0 means 25
	Covariance float64 `json:"covariance,omitempty"` // 0 means 1
}

// VICReg is the loss of Bardes, Ponce and LeCun ("VICReg: variance-invariance-covariance
// regularization for self-supervised learning", 2022): the weighted sum of three terms.
// Invariance is the mean squared difference of u and v. Variance is the average over u and
// v of the mean over columns of max(0, 1 - sqrt(variance + 1e-4)). Covariance is the sum
// over u and v of the squared covariances of different columns, divided by d. Variances and
// covariances are divided by n-1. u and v are [n, d] with n and d at least 2.
func VICReg(u, v autograd.Var, w VICRegWeights) autograd.Var {
	const op = "ssl.VICReg"
	pair(op, u, v, 2)
	n, d := u.Dim(0), u.Dim(1)
	if d < 2 {
		tensor.Panic(op, "one column has no others", u.Shape())
	}
	w = w.withDefaults()
	loss := autograd.Scale(autograd.MSE(u, v), float32(w.Invariance))
	for _, x := range []autograd.Var{u, v} {
		x = autograd.Sub(x, autograd.MeanAxes(x, 0))
		c := autograd.Scale(autograd.MatMul(autograd.TransposeCopy(x), x), 1/float32(n-1))
		std := autograd.Sqrt(autograd.AddScalar(autograd.Pick(c, upTo(d)), 1e-4))
		hinge := autograd.Mean(autograd.ReLU(autograd.Affine(std, -1, 1)))
		cov := autograd.Sum(autograd.Square(offDiagonal(c)))
		loss = autograd.Add(loss, autograd.Scale(hinge, float32(w.Variance/2)))
		loss = autograd.Add(loss, autograd.Scale(cov, float32(w.Covariance/float64(d))))
	}
	return loss
}

// CosineLoss returns the mean over rows of 2 - 2·cos(p, t), the squared distance of
// normalised rows. It is one term of BYOL's loss, and 2 plus twice the negative cosine of
// SimSiam. No gradient flows to t.
func CosineLoss(p, t autograd.Var) autograd.Var {
	pair("ssl.CosineLoss", p, t, 1)
	return autograd.Affine(autograd.Mean(autograd.CosineSimilarity(p, autograd.Detach(t), tiny)), -2, 2)
}
