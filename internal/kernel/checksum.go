package kernel

import (
	"hash/crc32"
	"math/bits"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C of b, as hash/crc32 has it, at the speed of memory.
func Checksum(b []byte) uint32 {
	o := &Active().probe
	n := len(b) &^ (foldBlock - 1)
	if o.fold == nil || n < 2*foldBlock {
		return crc32.Checksum(b, castagnoli)
	}
	// The sum begins with all ones, which is as if its first four bytes were inverted.
	var rest [foldBlock]byte
	o.fold(n, &rest[0], &b[0], &foldFactors, 1<<32-1)
	sum := crc32.Update(1<<32-1, castagnoli, rest[:])
	return crc32.Update(sum, castagnoli, b[n:])
}

// foldBlock is how many bytes a loop folds at a time: multiplied by x^2048 modulo the
// polynomial of the sum they can be added to the next ones and leave the sum as it was
// (Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ
// instruction", 2009).
const foldBlock = 256

// foldFactors are what the first and the second 8 bytes of 16 are multiplied by.
var foldFactors = [2]uint64{foldFactor(8*foldBlock + 32), foldFactor(8*foldBlock - 32)}

// foldFactor is x^n modulo the polynomial, bits in reverse.
func foldFactor(n int) uint64 {
	const polynomial = 1<<32 | 0x1EDC6F41
	r := uint64(1)
	for range n {
		if r <<= 1; r>>32 == 1 {
			r ^= polynomial
		}
	}
	return uint64(bits.Reverse32(uint32(r))) << 1
}
