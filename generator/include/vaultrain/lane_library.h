// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Lane programs of layers and optimisers.
//
// A program says what one group is; the job around it says which groups there are. Streams have the
// numbers that each function names; "operands" are in the operand format of the variant, "wide"
// values fp32. Registers of the host are named by number. Programs of pooling depend on the windows
// and stand in mapper/pools.cpp.

#ifndef VAULTRAIN_LANE_LIBRARY_H_
#define VAULTRAIN_LANE_LIBRARY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "vaultrain/lane_program.h"
#include "vaultrain/recipe.h"

namespace vaultrain::lanes {

// ---- normalisation of samples over groups of channels; a register holds samples as its groups
//
// Sums of a sample: wide, of a group of channels (`squares_slots`, `rstd_slots`, ..) or of a
// channel, in the lanes where the channels are. `width` lanes share a group: a power of two, or
// all.

// Sums of x and of its squares over loops 1 to level; with `more`, added to what is there. Streams:
// 0 x, 1 the sums.
Program GroupMoments(int squares_slots, bool more);
// Mean and 1 / sqrt(variance + epsilon) of `count` values in their place. Stream: 0.
Program GroupStatistics(int64_t count, float epsilon, int width, int cols, int rstd_slots);
// y = (x - mean) * rstd * scale + bias, with relu at least 0. Streams: 0 x, 1 y, 2 mean, rstd, 3
// scale, bias.
Program GroupForward(int rstd_slots, int bias_slots, bool relu);

// Sums of dy and of dy * x over loops 1 to level, of each channel. Streams: 0 dy, 1 x, 2 the sums.
Program GroupGradientSums(int products_slots, bool more);
// Of a channel, the second sum becomes that of dy * (x - mean) * rstd. Streams: 0 sums, 1 mean,
// rstd.
Program GroupGradientCentre(int products_slots, int rstd_slots);
// Over loop 1, the channels of a group: rstd, q and r with dx = dy * scale * rstd + x * q + r.
// Streams: 0 sums, 1 mean, rstd, 2 scale, 3 rstd, q, r, each `next_slots` behind the other.
Program GroupCoefficients(int64_t count, int width, int cols, int products_slots, int rstd_slots,
                          int next_slots);
// dx in place of dy, 0 where x is not above 0 if mask is set. Streams: 0 dy, 1 x, 2 scale, 3 rstd,
// q, r.
Program GroupBackward(int next_slots, bool mask);
// Sums over loop 1, the samples; channels lie in the groups. Streams: 0 two sums, 1 their sums.
Program GroupParameterSums(int products_slots, int sums_slots, bool more);

// ---- normalisation of channels over a batch; a register holds slots of channels as its groups.
// Sums are made by GroupMoments and GroupGradientSums of each channel alone, then
// GroupParameterSums; the rest is GroupForward, GroupGradientCentre, GroupCoefficients and
// GroupBackward.

// Of the sums of `count` values and of their squares, mean and 1 / sqrt(variance + epsilon) in
// their place; running mean and variance r become r * momentum + new * (1 - momentum), with a
// factor that is rounded once. Streams: 0 the sums, 1 running mean and variance.
Program BatchStatistics(int64_t count, float epsilon, float momentum, int squares_slots,
                        int variance_slots);
// 1 / sqrt(variance + epsilon) in place of the variance. Stream: 0 mean and variance.
Program RunningStatistics(float epsilon, int variance_slots);

// ---- element by element; operands

// Streams: 0 a, 1 b, 2 y; with relu max(a + b, 0).
Program AddTensors(bool relu);
Program SubtractTensors(bool relu);
Program MultiplyTensors();
// Within 2^-22.4 of a / b before it is rounded.
Program DivideTensors();
// The gradient of y = a / b by b; 0 where b is not above 0 if mask is set. Streams: 0 dy, 1 b,
// 2 db, 3 y.
Program DivisorBackward(bool mask);
// Streams: 0 x, 2 y.
Program NegateTensor();
Program CopyTensor();

// The same, but results are 0 where what stream 3 gives is not above 0. Of programs that have
// one store, of register 0, as their last instruction.
Program Masked(Program program, bool mask = true);

// The same with fp32 instead of operands in these streams, a bit each, whose slots are twice as far
// apart. A masked store into one takes two instructions, the mask's register, and register 15,
// which nothing may have written, for zero.
Program Widened(const Program& program, unsigned streams);
// The job of such a program, from that of the other; bases count from where the streams' buffers
// begin.
Job Widened(Job job, unsigned streams);

// Numbers as two operands of fx16 with so many bits below the point: the nearest one, and the
// operand nearest to 2^16 times what is left. What lies beyond the last operand ends within a unit
// of it. Streams: 0 the numbers, wide, 1 and 2 operands.
Program SplitTensor(int fraction_bits);

// y = x where x > 0, else slope * x. Streams: 0 x, 2 y.
Program LeakyReluForward(float slope);
// dx = dy where x > 0, else slope * dy. Streams: 0 dy, 1 x (or y, for a slope of 0 or more), 2 dx.
Program LeakyReluBackward(float slope);

// y = slope * x + shift. Streams: 0 x, 2 y.
Program AffineForward(float slope, float shift);

// y = x / (1 - rate), or 0 with probability `rate`; the same again for the gradient, with the same
// seeds and the same job. The generator of a lane starts from the sum of the scalar register and
// what stream 1 has for the lane: bits of an fp32 number. Streams: 0 x, 1 a wide value, 2 y.
Program Dropout(float rate, int seed_scalar);

// Streams: 0 x, 2 y. Errors against the exact value: README of rtl_templates/lanes.
Program SigmoidForward();
Program TanhForward();
// From y. Streams: 0 dy, 1 y, 2 dx.
Program SigmoidBackward();
Program TanhBackward();

// ---- softmax over `channels` channels, in slots over loop 1; a register holds samples as its
// groups. Of each in every lane, wide: the maximum and, `next_slots` behind it, 1 / the sum of
// exp(x - maximum). What lies behind the channels is 0 in y.

// Streams: 0 x, 1 the maximum.
Program SoftmaxMaximum(int channels, int cols);
// Streams: 0 x, 1 the maximum, which the rest joins.
Program SoftmaxSum(int channels, int cols, int next_slots);
// Streams: 0 x, 1 both, 2 y.
Program SoftmaxForward(int channels, int cols, int next_slots);
// The sum of dy * y, in every lane. Streams: 0 dy, 1 y, 2 the sum, wide.
Program SoftmaxGradientSum(int cols);
// dx = y * (dy - sum) in place of dy. Streams: 0 dy, 1 y, 2 the sum.
Program SoftmaxBackward();

// ---- recurrent cells; sums and states are wide, what BP will need (kept) operands
//
// Parts of a stream (sums, kept values) are given slots apart; what is kept lies `kept_at` slots
// behind h. `first` is of the step that comes first, with no state before it.

// c = f * c' + i * g, h = o * tanh c. Streams: 0 the sums of i, o, f, g, 1 c in place, 2 h and what
// is kept: the gates, tanh c, c'.
Program LstmForward(int sum_slots, int kept_at, int kept_slots, bool first);
// Gradients by the sums from those by h: dy and, behind the state, what came back from the step
// after. Streams: 0 kept, 1 dc in place and the rest of dh `dh_slots` behind it, 2 dy, 3 gradients.
Program LstmBackward(int kept_slots, int dh_slots, int gate_slots, bool first);
// n = tanh(n + r * (q + b_q)), h = n + z * (h' - n), z and r being sigmoids. Streams: 0 the sums z,
// r, n (from x) and q (the part of n from h'), 1 h in place, 2 h as operands and what is kept: z,
// r, n, q + b_q, h', 3 with `bias` what is added to z, r and q, wide.
Program GruForward(int sum_slots, int kept_at, int kept_slots, bool bias, bool first);
// Streams: 0 kept, 1 of dh what passes by the gates, in place, and the rest `dh_slots` behind it, 2
// dy, 3 gradients by z, r, q and, `n_at` slots from the first, n.
Program GruBackward(int kept_slots, int dh_slots, int gate_slots, int n_at, bool first);
// The same with the state reset before the product: n = tanh n. First r and r * h'; streams: 0 the
// sums z, r, n, 1 h, 2 what is kept, 3 r * h' as operands. Then, with the product in n, the rest;
// streams 0, 1 in place and 2, where z, r, n, h' are kept, r of `first` as 0.
Program ResetGruGates(int sum_slots, int kept_at, int kept_slots);
Program ResetGruForward(int sum_slots, int kept_at, int kept_slots, bool first);
// Streams: 0 kept, 1 of dh what passes by the products, in place, and the rest `dh_slots` behind
// it, 2 dy, 3 gradients by z, r, n, where that by r is 0. Then, with the gradient by r * h' as the
// rest, what goes through r; streams 0, 1 and 3.
Program ResetGruBackward(int kept_slots, int dh_slots, int gate_slots, bool first);
Program ResetGruGatesBackward(int kept_slots, int dh_slots, int gate_slots);
// h = tanh of the sum. Streams: 0 the sum, 2 h.
Program RnnForward();
// Streams: 0 h, 1 the rest of dh, 2 dy, 3 the gradient by the sum.
Program RnnBackward(bool first);

// ---- optimisers

// A step of recipe.h; all wide, state and weights in place. Streams: 0 g, 1 the state (none of sgd;
// of adam m, and q `q_slots` behind), 2 w. The scalar register holds s, with its sign. Constants
// are rounded once, 1 - beta too; adam wants |u| below 2^63, whose square is finite. A state is off
// by at most 10 * 2^-24 of the magnitudes that it sums, the change of w by 24 * 2^-24; in adam,
// where decay cancels the gradient, by more, as its root then is.
Program OptimiserStep(const OptimiserConstants& constants, int step_scalar, int q_slots = 0);

// ---- losses

// Of a sample, its values over loop 1: dz = 2 (y - t) / values, and the loss, the mean of (y -
// t)^2, in every lane; `dz_slots` slots of dz, zeros behind the values. Streams: 0 y and 1 t, wide,
// 2 dz, 3 loss, wide. The gradient is off by 3 * 2^-24 of its size before it is rounded to an
// operand, the loss by (values + 4) * 2^-24.
Program MeanSquare(int values, int cols, int dz_slots);

// ---- parts of programs

// Registers that hold what a part needs; SetUp writes them, once, in init.
struct Constants {
  int sigmoid_scale = 15;  // -log2 e
  int tanh_scale = 14;     // 2 log2 e
  int one = 13;
  int two = 12;

  void SetUp(Section& section) const;
};

// d = 1 / (1 + e^-a) or tanh a, where d is a times the constant's scale.
void EmitSigmoid(Section& section, int d, const Constants& constants);
void EmitTanh(Section& section, int d, const Constants& constants);

// ---- jobs

// A stream that an element-wise job walks from end to end.
struct Row {
  uint32_t base = 0;
  bool wide = false;
  bool used = true;
};

// Jobs, one or two, that walk `groups` groups of each row; `init` of the program runs once in each.
std::vector<Job> RowJobs(int64_t groups, std::span<const Row> rows, int cols, int operand_bytes);

}  // namespace vaultrain::lanes

#endif  // VAULTRAIN_LANE_LIBRARY_H_
