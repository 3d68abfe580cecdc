// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Bit-exact twin of vt_softmax, in integer arithmetic. The header of
// rtl_templates/vector/vt_softmax.v defines it.

#ifndef VAULTRAIN_VERIF_GOLDEN_SOFTMAX_H_
#define VAULTRAIN_VERIF_GOLDEN_SOFTMAX_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vaultrain::golden {

// Cycles of a row of N classes from the first element in to the last one out, without stalls: 3 N +
// this.
inline constexpr int kSoftmaxRowOverhead = 30;

// Quadratic of one of 64 segments: c0 in units of 2^-30, c1 of 2^-24, c2 of 2^-16.
struct SoftmaxSegment {
  int64_t c0;
  int64_t c1;
  int64_t c2;
};

// Entries of the tables of 2^-x for x in [0, 1) and ln(m) for m in [1, 2), evaluated from their
// definition in the headers of vt_softmax_exp_rom.v and vt_softmax_ln_rom.v. `segment` is 0..63.
SoftmaxSegment SoftmaxExpSegment(int segment);
SoftmaxSegment SoftmaxLnSegment(int segment);

// An fp32 logit that is not a NaN, in units of 2^-24, 36 bits.
int64_t SoftmaxFixedLogit(uint32_t x);

struct SoftmaxRowResult {
  std::vector<uint32_t> gradient;  // fp32, one per class, at most max_classes
  uint32_t loss = 0;               // fp32, not scaled
  bool too_long = false;           // more than max_classes logits
};

// `logits` and `scale` are fp32; `logits` has at least one element.
SoftmaxRowResult SoftmaxRow(const std::vector<uint32_t>& logits, uint32_t label, uint32_t scale,
                            size_t max_classes);

}  // namespace vaultrain::golden

#endif  // VAULTRAIN_VERIF_GOLDEN_SOFTMAX_H_
