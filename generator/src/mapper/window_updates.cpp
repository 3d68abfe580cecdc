// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Weight updates of convolutions: sums of products stay in the scratchpad while all samples of a
// node go by; then they are added up over the nodes, and their owner takes the step.

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "mapper/mapping.h"
#include "mapper/windows.h"

namespace vaultrain {

using isa::Aux;

// Sums of the node become the parameter after the step at its owner, or the stored gradient.
void Mapper::AddWindowStep(int parameter, int64_t row, int64_t rows, int64_t col, int64_t cols,
                           int sums, int64_t sums_offset, int64_t sums_pitch, int owner,
                           bool of_bias, bool take_step, int tag) {
  if (take_step && HasOptimiserStep()) {
    return AddOptimiserStep(parameter, row, rows, col, cols, sums, sums_offset, sums_pitch, owner,
                            of_bias, tag);
  }
  // Tokens for sums come in the order in which the sums were begun.
  FlushLate();
  const int64_t padded = RoundUp(cols, v_.array.cols);
  const int64_t pitch = RoundUp(padded * 4, std::max(kAccess, word_));
  const int own = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
  Task task;
  VectorSpec values;
  values.out = own;
  values.out_pitch = pitch;
  values.scale = take_step;
  if (take_step) {
    task.loads.emplace_back(
        Only(Axis::kBatch, owner,
             LoadPlain(parameter, row, rows, col, cols, 0, pitch, false, own, tag)));
    values.aux = own;
    values.aux_part = owner;
    values.aux_kind = Aux::kAdd;
    values.aux_pitch = pitch;
  }
  task.work.push_back(Elements(sums, sums_offset, sums_pitch, rows, padded, values, tag));
  int sum = own;
  if (grid_.batch.parts > 1) {
    sum = s_->AddBuffer(static_cast<uint32_t>(rows * pitch), false);
    task.work.push_back(Reduce(Axis::kBatch, owner, own, 0, pitch, rows, padded * 4, sum, tag));
    task.work.push_back(Summed(Axis::kBatch, owner, sum, tag));
  }
  const int target = take_step ? parameter : gradient_of_.at(parameter);
  task.stores.push_back(
      Only(Axis::kBatch, owner, StorePlain(target, row, rows, col, cols, pitch, sum, tag)));
  AddTask(std::move(task));
}

void Mapper::AddWindowUpdate(const TrainingOp& op, int tag, double budget) {
  const TrainingLayer l = Mapped(op.layer);
  const Window w = l.window;
  const LayerPlan plan = plan_[op.layer];
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int weights = tensor_of_[op.Tensor(Role::kW)];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int bias = op.Tensor(Role::kB) < 0 ? -1 : tensor_of_[op.Tensor(Role::kB)];
  const WindowAxis down = RowsOf(l);
  const WindowAxis across = ColumnsOf(l);
  const int64_t cols = v_.array.cols;
  const Raster& raster = raster_.at(dz);
  const int64_t pixel = raster.samples * operand_;  // of one channel, a word
  const int64_t all_channels = KWords(l.from.channels) * word_elements_;
  const Bundles bundles = UpdateBundlesOf(l);
  const bool folds = bundles.groups > 1;
  const int64_t halves = HalvesOf(dz);

  // Sums of some bundles, a slice of their outputs and some rows of taps stay in the scratchpad
  // while all samples go by.
  constexpr int64_t kStep = isa::kAccessBytes / 2;
  const int64_t whole_bundles =
      std::lcm(kStep / std::gcd(kStep, bundles.channels), kStep / std::gcd(kStep, bundles.outputs));
  int64_t most_bundles = bundles.count;
  int64_t slice = bundles.outputs;
  if (!folds) slice = std::min(slice, std::max<int64_t>(kStep, v_.AccHalfDepth()));
  int64_t tap_rows = w.kernel_h;
  auto width_of = [&](int64_t first, int64_t count) {
    const int64_t behind = TapWidth(l) - first * bundles.channels;
    return first + count == bundles.count ? behind : count * bundles.channels;
  };
  auto sums_pitch = [&] {
    return RoundUp(tap_rows * w.kernel_w * width_of(0, most_bundles) * 4, std::max(kAccess, word_));
  };
  while (slice * sums_pitch() > Scratchpad(budget) / tuning_.sums) {
    if (most_bundles > whole_bundles) {
      most_bundles = RoundUp(CeilDiv(most_bundles, 2), whole_bundles);
    } else if (slice > kStep && !folds) {
      slice = RoundUp(slice / 2, kStep);
    } else if (tap_rows > 1) {
      tap_rows = CeilDiv(tap_rows, 2);
    } else {
      break;
    }
  }
  const int64_t pitch = sums_pitch();
  const int64_t most_channels = std::min(width_of(0, most_bundles), all_channels);
  auto some_taps = [&](int64_t ky, int64_t taps) {
    WindowAxis some = down;
    some.kernel = taps;
    some.pad -= ky * down.dilation;
    return some;
  };
  // Where X is small enough, all of it stays for all tiles and slices. Then small slices cost no
  // loads: the first begins before all of dZ is there, and of the last less is left to be summed
  // over the nodes. `lstm` on 2 x 2 nodes takes 891 thousand cycles with slices of a quarter of the
  // scratchpad and tiles of half the room, 795 with these and 794 with half of these slices; on
  // 4 x 4 nodes these take 779 and half of them 784.
  const int64_t whole_x =
      down.Seen(0, l.to.height).second * across.Seen(0, l.to.width).second * all_channels * pixel;
  auto room = [&] { return Scratchpad(budget) - (folds ? 2 : 1) * slice * pitch; };
  const bool keeps_x = raster.groups == 1 && tap_rows == w.kernel_h &&
                       most_bundles == bundles.count && whole_x <= room() / 6;
  while (keeps_x && !folds && slice > kStep &&
         slice * pitch > Scratchpad(budget) / tuning_.small_sums) {
    slice = RoundUp(slice / 2, kStep);
  }
  if (slice < bundles.outputs) slice = slice / kStep * kStep;
  const int64_t most_outputs = most_bundles > 1 ? most_bundles * bundles.outputs : slice;
  // Small tiles: behind loads that wait for room the lanes wait for theirs.
  const Tile tile = FitTile(
      l.to.height, l.to.width,
      keeps_x ? (room() - whole_x) / tuning_.small_tiles : room() / tuning_.tiles,
      [&](const Tile& t) {
        const int64_t of_x =
            some_taps(0, tap_rows).MostSeen(t.rows) * across.MostSeen(t.pixels) * most_channels;
        return (t.rows * t.pixels * RoundUp(most_outputs, cols) * halves + (keeps_x ? 0 : of_x)) *
               pixel;
      });
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "windows of {} transposed stationary in the array, {} transposed streamed; tiles of {} x "
        "{} "
        "pixels, {} outputs by {} rows of taps summed in the scratchpad{}",
        local_[x].name, local_[dz].name, tile.rows, tile.pixels, slice, tap_rows,
        BundleText(l, bundles));
  }
  auto in_place = [](Loop loop) {
    loop.aux = loop.out;
    return loop;
  };
  int kept = -1;
  std::vector<Load> loads_of_kept;  // until a tile has work
  struct Slice {
    int64_t bundle, bundles;
    int64_t row, rows;  // of the outputs of each bundle
  };
  std::vector<Slice> slices;
  for (int64_t bundle = 0; bundle < bundles.count; bundle += most_bundles) {
    for (int64_t row = 0; row < bundles.outputs; row += slice) {
      slices.push_back({bundle, std::min(most_bundles, bundles.count - bundle), row,
                        std::min(slice, bundles.outputs - row)});
    }
  }
  for (const Slice& of : slices) {
    // Outputs that are loaded; of several bundles all of them.
    const int64_t o = of.bundle * bundles.outputs + (of.bundles > 1 ? 0 : of.row);
    const int64_t outputs =
        std::min(of.bundles > 1 ? of.bundles * bundles.outputs : of.rows, l.to.channels - o);
    const int64_t first_row = of.bundles > 1 ? of.row : 0;
    // As many at a time as there are accumulators; what fills up the last set is not used.
    const int64_t row_sets = CeilDiv(of.rows, std::min<int64_t>(of.rows, v_.AccHalfDepth()));
    const int64_t sum_rows = row_sets * std::min<int64_t>(of.rows, v_.AccHalfDepth());
    const int64_t padded = RoundUp(outputs, cols);
    const int64_t a_rows =
        std::max(padded, (of.bundles - 1) * bundles.outputs + first_row + sum_rows);
    // The last bundle goes on to the end of the word, and may have fewer groups.
    const int64_t channel = of.bundle * bundles.channels;
    const int64_t width = width_of(of.bundle, of.bundles);
    const int64_t tap_bytes = width * 4;
    const int64_t channels = std::min(width, all_channels - channel);
    std::vector<BundleRun> runs = {{of.bundle, of.bundles, channel, bundles.channels}};
    if (of.bundle + of.bundles == bundles.count) {
      const int64_t before = (of.bundles - 1) * bundles.channels;
      runs = {{bundles.count - 1, 1, channel + before, channels - before}};
      if (before > 0) {
        runs.insert(runs.begin(), {of.bundle, of.bundles - 1, channel, bundles.channels});
      }
    }
    for (int64_t ky = 0; ky < w.kernel_h; ky += tap_rows) {
      const int64_t taps_y = std::min(tap_rows, w.kernel_h - ky);
      const std::vector<TapSpan> row_spans = TapSpans(down, ky, taps_y);
      const std::vector<TapSpan> column_spans = TapSpans(across, 0, w.kernel_w);
      const bool with_bias = bias >= 0 && ky == 0 && first_row == 0;
      const int sums = s_->AddBuffer(static_cast<uint32_t>(sum_rows * pitch), true);
      const int64_t bias_pitch = RoundUp(padded * 4, std::max(kAccess, word_));
      const int bias_sums = with_bias ? s_->AddBuffer(static_cast<uint32_t>(bias_pitch), true) : -1;
      const int ones =
          with_bias ? s_->AddBuffer(static_cast<uint32_t>(std::max(kAccess, word_)), true) : -1;
      std::set<std::pair<int64_t, int64_t>> begun;  // taps whose sums hold something
      bool first = true;
      const int this_sum = ++sums_begun_;
      ForEachTile(raster, raster.samples, l.to.height, l.to.width, tile, [&](const Patch& to) {
        const auto [from_y, from_rows] =
            keeps_x ? down.Seen(0, l.to.height) : some_taps(ky, taps_y).Seen(to.y, to.rows);
        const auto [from_x, from_pixels] =
            keeps_x ? across.Seen(0, l.to.width) : across.Seen(to.x, to.pixels);
        const int64_t a_row = to.pixels * pixel;
        const int64_t b_row = from_pixels * pixel;
        const int64_t a_pitch = to.rows * a_row;
        const int64_t b_pitch = from_rows * b_row;
        const int a = s_->AddBuffer(static_cast<uint32_t>(a_rows * a_pitch * halves), false);
        const int64_t low = halves > 1 ? a_rows * a_pitch : 0;
        Task task;
        VectorSpec vector;
        vector.aux_kind = Aux::kAdd;
        // X before dZ, for which it may have to wait.
        int b = -1;
        if (from_rows > 0 && from_pixels > 0) {
          b = kept >= 0 ? kept : s_->AddBuffer(static_cast<uint32_t>(channels * b_pitch), keeps_x);
          if (kept < 0) {
            AddTurnedLoads(keeps_x ? loads_of_kept : task.loads, x,
                           {to.of, from_y, from_rows, from_x, from_pixels}, channel, channels, b,
                           tag);
          }
          if (keeps_x) kept = b;
        }
        for (Load& load : loads_of_kept) task.loads.push_back(load);
        AddTurnedLoads(task.loads, dz, to, o, padded, a, tag, low);
        if (b >= 0) {
          for (const TapSpan& sy : row_spans) {
            const int64_t y0 = std::max(sy.begin, to.y);
            const int64_t y1 = std::min(sy.end, to.y + to.rows);
            for (const TapSpan& sx : column_spans) {
              const int64_t x0 = std::max(sx.begin, to.x);
              const int64_t x1 = std::min(sx.end, to.x + to.pixels);
              if (y0 >= y1 || x0 >= x1) continue;
              const bool is_first = begun.emplace(sy.tap, sx.tap).second;
              for (const BundleRun& run : runs) {
                const int64_t rows =
                    std::min(of.rows, l.to.channels - run.bundle * bundles.outputs - first_row);
                const int64_t together = std::min<int64_t>(rows, v_.AccHalfDepth());
                Nest nest;
                nest.rows = {in_place({together, a_pitch, 0, pitch})};
                nest.depth = {{x1 - x0, pixel, w.stride_w * pixel},
                              {y1 - y0, a_row, w.stride_h * b_row}};
                nest.sets = {
                    in_place({run.count / cols, 0, cols * b_pitch, cols * 4}),
                    in_place({run.bundles, bundles.outputs * a_pitch, bundles.channels * b_pitch,
                              bundles.channels * 4}),
                    in_place({sx.taps, 0, w.dilation_w * pixel, tap_bytes}),
                    in_place({sy.taps, 0, w.dilation_h * b_row, w.kernel_w * tap_bytes}),
                    in_place({CeilDiv(rows, together), together * a_pitch, 0, together * pitch})};
                ComputeSpec product;
                product.a = a;
                product.b = b;
                product.a_offset =
                    ((run.bundle - of.bundle) * bundles.outputs + first_row) * a_pitch +
                    (y0 - to.y) * a_row + (x0 - to.x) * pixel;
                product.b_offset =
                    (run.first - channel) * b_pitch +
                    (y0 * w.stride_h + sy.tap * w.dilation_h - w.pad_top - from_y) * b_row +
                    (x0 * w.stride_w + sx.tap * w.dilation_w - w.pad_left - from_x) * pixel;
                product.b_pitch = b_pitch;
                product.a_low = low;
                vector.out = sums;
                vector.out_offset =
                    ((sy.tap - ky) * w.kernel_w + sx.tap) * tap_bytes + (run.first - channel) * 4;
                vector.aux = is_first ? -1 : sums;
                vector.aux_offset = is_first ? 0 : vector.out_offset.base;
                AddJobs(task.work, product, vector, nest, tag);
              }
            }
          }
        }
        if (with_bias) {
          if (first) {
            task.loads.emplace_back(LoadPlain(ones_, 0, 1, 0, word_elements_, 0,
                                              std::max(kAccess, word_), false, ones, tag));
          }
          vector.out = bias_sums;
          vector.out_offset = 0;
          vector.aux = first ? -1 : bias_sums;
          vector.aux_offset = 0;
          Nest nest;
          nest.depth = {{to.pixels, 0, pixel}, {to.rows, 0, a_row}};
          nest.sets = {in_place({padded / cols, 0, cols * a_pitch, cols * 4})};
          ComputeSpec sum;
          sum.a = ones;
          sum.b = a;
          sum.b_pitch = a_pitch;
          sum.b_low = low;
          AddJobs(task.work, sum, vector, nest, tag);
        }
        first = false;
        if (task.work.empty()) return;
        loads_of_kept.clear();
        sum_ = this_sum;
        AddTask(std::move(task));
      });
      // Taps that only ever see what lies outside the image.
      for (const TapSpan& sy : row_spans) {
        for (const TapSpan& sx : column_spans) {
          if (begun.contains({sy.tap, sx.tap})) continue;
          for (int64_t tap = 0; tap < sy.taps; ++tap) {
            AddZeros(sums, ((sy.tap + tap - ky) * w.kernel_w + sx.tap) * tap_bytes, pitch, of.rows,
                     sx.taps * tap_bytes, tag);
          }
        }
      }
      // The array goes on with the next sums while these are added up over the nodes.
      after_next_ = [=, this] {
        const int result =
            folds ? AddFolding(l, bundles, sums, pitch, channel, width, taps_y * w.kernel_w, tag)
                  : sums;
        const int64_t end = folds ? l.out : of.row + of.rows;
        // Channels of some bundles are a part of each tap.
        const bool whole = width == TapWidth(l);
        const int64_t steps = whole ? 1 : taps_y * w.kernel_w;
        const int64_t step_width = (whole ? taps_y * w.kernel_w : 1) * width;
        for (const bool take_step : {false, true}) {
          if (!take_step && !keep_gradients_) continue;
          // A step holds a block's rows; a few at a time leave room for the next sums.
          const int64_t row_bytes = RoundUp(step_width * 4, std::max(kAccess, word_));
          const int64_t most = std::max<int64_t>(1, Scratchpad(budget) / 64 / row_bytes);
          for (int64_t at = of.row; at < end;) {
            const int64_t block = at / plan.block;
            const int64_t count = std::min({most, end - at, (block + 1) * plan.block - at});
            for (int64_t step = 0; step < steps; ++step) {
              AddWindowStep(weights, block / grid_.batch.parts * plan.block + at % plan.block,
                            count, (ky * w.kernel_w + step) * TapWidth(l) + channel, step_width,
                            result, (at - of.row) * pitch + step * tap_bytes, pitch,
                            static_cast<int>(block % grid_.batch.parts), false, take_step, tag);
            }
            at += count;
          }
          if (with_bias) {
            AddWindowStep(bias, 0, 1, o, outputs, bias_sums, 0, bias_pitch, 0, true, take_step,
                          tag);
          }
        }
      };
      if (!overlaps_) FlushAfterNext();
    }
  }
}

}  // namespace vaultrain
