// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Products of two activations: of each sample and row of pixels a matrix by a matrix.
//
// A pixel of one sample is a row in memory, and those of a word's samples lie side by side: a LOAD
// of one sample takes every word-th row, as it is or turned. So each factor comes as the array
// wants it, rows of the depth, whichever of FF and BP it is: with C = A B, B is turned in FF, A in
// the gradient of B. Several samples make one job.

#include <fmt/format.h>

#include "mapper/mapping.h"
#include "vaultrain/error.h"

namespace vaultrain {

// One matrix of a sample as the array takes it.
struct Mapper::Factor {
  Operand2D operand;
  int64_t rows = 0, depth = 0;
  int64_t pitch = 0;   // of a row in a buffer
  int64_t halves = 1;  // of gradients of fx32, the low ones behind the high ones

  // Bytes of so many rows.
  int64_t Bytes(int64_t count) const { return count * pitch * halves; }
};

Step Mapper::OfSample(Step step, int tensor, int64_t sample) const {
  const int64_t samples = raster_.at(tensor).samples;
  Rect& rect = step.dram.front().rect;
  const int64_t pixels = rect.row_end - rect.row_begin;
  const int64_t first = rect.row_begin - sample;  // of all samples
  rect.row_begin = first;
  rect.row_end = first + pixels * samples;
  rect.sample_begin = sample;
  rect.sample_end = sample + 1;
  step.copy.reset();
  step.make = [make = std::move(step.make), samples](const Place& place) {
    isa::Descriptor d = make(place);
    d.Set(isa::FieldId::kDramPitch, d.Get(isa::FieldId::kDramPitch) * samples);
    return d;
  };
  return step;
}

// Rows of the matrix that begins at a row of memory, and zeros up to whole tiles of the array.
void Mapper::LoadFactor(Task& task, const Factor& f, int64_t row, int64_t sample, int64_t first,
                        int64_t rows, int buffer, int64_t offset, int tag) const {
  const int tensor = f.operand.tensor;
  const int64_t samples = raster_.at(tensor).samples;
  const int64_t padded = RoundUp(rows, v_.array.cols);
  auto add = [&](Half half, int64_t at) {
    if (!f.operand.transposed) {
      task.loads.emplace_back(OfSample(
          LoadPlain(tensor, row + first * samples + sample, rows, 0, f.depth, padded - rows,
                    f.pitch, Converts(local_[tensor]), buffer, tag, at, half),
          tensor, sample));
      return;
    }
    for (Step& step : LoadTransposed(tensor, row + sample, f.depth, first, padded,
                                     KWords(f.depth) * word_elements_ - f.depth, f.pitch, buffer,
                                     at, tag, half)) {
      task.loads.emplace_back(OfSample(std::move(step), tensor, sample));
    }
  };
  add(f.halves > 1 ? Half::kHigh : Half::kNone, offset);
  if (f.halves > 1) add(Half::kLow, offset + padded * f.pitch);
}

void Mapper::AddProduct(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& l = graph_.layers[op.layer];
  const int out = tensor_of_[op.Tensor(op.phase == Phase::kFeedForward ? Role::kY : Role::kDx)];
  const Raster& r = raster_.at(out);
  const int64_t cols = v_.array.cols;
  auto factor = [&](Role role, bool transposed) {
    Factor f;
    f.operand = {tensor_of_[op.Tensor(role)], transposed};
    const Image& image = raster_.at(f.operand.tensor).image;
    f.rows = transposed ? image.channels : image.width;
    f.depth = transposed ? image.width : image.channels;
    f.pitch = OperandPitch(f.operand, f.depth);
    f.halves = HalvesOf(f.operand.tensor);
    return f;
  };
  const Factor a = factor(Role::kX, op.turned[0]);
  const Factor b = factor(Role::kX2, !op.turned[1]);
  const int64_t columns = RoundUp(b.rows, cols);
  const int64_t out_pitch = OutPitch(local_[out], b.rows);
  // Rows of a job: sums of a tile of columns fit, and pieces begin on accesses.
  int64_t rows = a.rows;
  const int64_t unit = std::max(cols, kAccess / operand_);
  const int64_t most_rows = v_.AccHalfDepth() / unit * unit;
  if (rows > most_rows) rows = most_rows;
  // Of a sample, and of all samples of a turn, half of what there is.
  auto bytes = [&] { return a.Bytes(RoundUp(rows, cols)) + b.Bytes(columns) + rows * out_pitch; };
  while (rows > unit && 2 * bytes() > Scratchpad(budget)) {
    rows = std::max(unit, rows / 2 / unit * unit);
  }
  int64_t turn = r.samples;
  while (turn > 1 && 2 * turn * bytes() > Scratchpad(budget)) turn /= 2;
  if (rows == 0 || 2 * bytes() > Scratchpad(budget)) {
    RefuseInput(
        "{}: layer {}: a matrix of {} x {} of one sample and {} rows of the other need more than "
        "the scratchpad of {} KiB; rule: scratchpad.kib",
        graph_.file, l.name, b.rows, b.depth, rows, v_.scratchpad.kib);
  }
  data_flow_[tag] = fmt::format("{} stationary in the array, {} rows of {} samples at a time",
                                local_[b.operand.tensor].name, rows, turn);
  auto add = [&](int64_t row_a, int64_t row_b, int64_t row_out, int64_t begin, int64_t count) {
    const int right = s_->AddBuffer(static_cast<uint32_t>(count * b.Bytes(columns)), rows < a.rows);
    for (int64_t first = 0; first < a.rows; first += rows) {
      const int64_t some = std::min(rows, a.rows - first);
      const int64_t padded = RoundUp(some, cols);
      Task task;
      const int left = s_->AddBuffer(static_cast<uint32_t>(count * a.Bytes(padded)), false);
      const int result = s_->AddBuffer(static_cast<uint32_t>(count * some * out_pitch), false);
      for (int64_t s = 0; s < count; ++s) {
        LoadFactor(task, a, row_a, begin + s, first, some, left, s * a.Bytes(padded), tag);
        if (first == 0) {
          LoadFactor(task, b, row_b, begin + s, 0, b.rows, right, s * b.Bytes(columns), tag);
        }
        const int64_t row = row_out + first * r.samples + begin + s;
        task.stores.push_back(OfSample(
            StorePlain(out, row, some, 0, b.rows, out_pitch, result, tag, s * some * out_pitch),
            out, begin + s));
      }
      ComputeSpec product;
      product.a = left;
      product.b = right;
      product.a_pitch = a.pitch;
      product.b_pitch = b.pitch;
      if (a.halves > 1) product.a_low = padded * a.pitch;
      if (b.halves > 1) product.b_low = columns * b.pitch;
      VectorSpec results;
      results.out = result;
      results.out_bytes = BytesOf(local_[out]);
      results.out_pitch = out_pitch;
      results.tail = true;
      Nest nest;
      nest.rows = {{some, a.pitch, 0, out_pitch, 0}};
      nest.depth = {{KWords(a.depth), word_, word_, 0, 0}};
      nest.sets = {{columns / cols, 0, cols * b.pitch, cols * results.out_bytes, 0},
                   {count, a.Bytes(padded), b.Bytes(columns), some * out_pitch, 0}};
      AddJobs(task.work, product, results, nest, tag);
      AddTask(std::move(task));
    }
  };
  auto row_of = [&](int tensor, int64_t group, int64_t y) {
    return raster_.at(tensor).Row(group, y, 0);
  };
  for (int64_t g = 0; g < r.groups; ++g) {
    const int64_t samples = std::min(r.samples, local_batch_ - g * r.samples);
    for (int64_t y = 0; y < r.image.height; ++y) {
      for (int64_t begin = 0; begin < samples; begin += turn) {
        add(row_of(a.operand.tensor, g, y), row_of(b.operand.tensor, g, y), row_of(out, g, y),
            begin, std::min(turn, samples - begin));
      }
    }
  }
}

}  // namespace vaultrain
