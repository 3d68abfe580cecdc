// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Pooling: lane programs over bands of images.
//
// A register holds the samples of a group as its groups and Cols channels in its lanes; the loops
// of LANES walk channels, columns and rows.
//
// FF takes the taps of a window one after another. Windows at the edge see fewer of them: windows
// that see the same taps make a job. BP goes by cells of stride x stride pixels:
// the pixels of a cell see the same few windows, whose gradients (and, of a maximum, its index and
// value) are loaded once for all of them.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "mapper/mapping.h"
#include "mapper/windows.h"
#include "vaultrain/error.h"

namespace vaultrain {

namespace {

// Of a lane program: what LANES can hold, and what a section of it can.
constexpr size_t kProgramWords = 128;
constexpr size_t kSectionWords = 63;

// Registers of the programs below.
enum : int { kBest = 0, kIndexOf = 1, kValue = 2, kTest = 3, kTap = 4, kSum = 5, kScale = 6 };
constexpr int kFirstWindow = 7;  // index and gradient of each window
constexpr int kFirstTap = 5;     // FF of a maximum: numbers of its taps
constexpr int kZero = 15;        // never written
// Slots that a load sees behind its stream; of a wide stream a slot is two.
constexpr int64_t kReach = int64_t{1} << 15;

// The most of `pixels` side by side so that loads see all rows of a window, of which `slots` has
// the slots from the first to the last.
int64_t PixelsInReach(int64_t pixels, const std::function<int64_t(int64_t)>& slots) {
  while (pixels > 1 && slots(pixels) >= kReach) pixels = CeilDiv(pixels, 2);
  return pixels;
}

}  // namespace

void Mapper::AddPoolForward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer l = Mapped(op.layer);
  const Window& w = l.window;
  const bool is_max = l.kind == LayerKind::kMaxPool;
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int index = op.Tensor(Role::kIndex) < 0 ? -1 : tensor_of_[op.Tensor(Role::kIndex)];
  const int64_t channels = l.from.channels;
  const int64_t slot = v_.array.cols * operand_;
  const int64_t pitch = OutPitch(local_[y], channels);
  std::vector<std::pair<int, int64_t>> pitches = {{x, pitch}, {y, pitch}};
  if (index >= 0) pitches.emplace_back(index, pitch);
  const int64_t samples = SamplesOfTurn(raster_.at(x), pitches);
  const int64_t pixel = samples * pitch;
  const WindowAxis down = RowsOf(l);
  const WindowAxis across = ColumnsOf(l);
  const int64_t pixels = PixelsInReach(l.to.width, [&](int64_t of_tile) {
    const int64_t row = across.MostSeen(of_tile);
    return ((w.kernel_h - 1) * w.dilation_h * row + (w.kernel_w - 1) * w.dilation_w) * pixel / slot;
  });
  const Tile tile =
      FitTile(l.to.height, pixels, Scratchpad(budget) / TurnsOf(x, samples), [&](const Tile& t) {
        return (down.MostSeen(t.rows) * across.MostSeen(t.pixels) +
                t.rows * t.pixels * (index < 0 ? 1 : 2)) *
               pixel;
      });
  if (data_flow_[tag].empty()) {
    data_flow_[tag] =
        fmt::format("windows of {} through the lanes; tiles of {} x {} pixels by {} samples",
                    local_[x].name, tile.rows, tile.pixels, samples);
  }

  // The program of windows that see these taps. Beyond what unrolls, the taps of a mean are loops.
  struct Variant {
    LoadedProgram loaded;
    bool loops = false;
  };
  // By the taps and the length of a row of X.
  std::map<std::array<int64_t, 5>, Variant> programs;
  std::vector<Load> shared;
  auto program_for = [&](const TapRun& cy, const TapRun& cx, int64_t x_row) -> const Variant& {
    auto [found, is_new] = programs.try_emplace({cy.tap, cy.taps, cx.tap, cx.taps, x_row});
    Variant& made = found->second;
    if (!is_new) return made;
    lanes::Program program;
    const int64_t taps = cy.taps * cx.taps;
    const float share = 1.0f / static_cast<float>(l.count_pad ? w.taps() : taps);
    // What fits a program of kProgramWords.
    const int64_t most_taps = index < 0 ? 42 : 25;
    if (is_max && taps > most_taps) {
      RefuseInput("{}: layer {}: a maximum of {} taps is not supported; accepted: up to {}",
                  graph_.file, l.name, taps, most_taps);
    }
    auto offset = [&](int64_t ky, int64_t kx) {
      const int64_t at = (ky * w.dilation_h * x_row + kx * w.dilation_w * pixel) / slot;
      if (at >= kReach) {
        RefuseInput(
            "{}: layer {}: taps of a window are {} slots of the scratchpad apart; accepted: fewer "
            "than {}",
            graph_.file, l.name, at, kReach);
      }
      return static_cast<int>(at);
    };
    lanes::Section& body = program.body;
    if (is_max) {
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t ky = t / cx.taps;
        const int64_t kx = t % cx.taps;
        const float number = IndexOf((cy.tap + ky) * w.kernel_w + cx.tap + kx);
        body.LoadOperand(t == 0 ? kBest : kValue, 0, offset(ky, kx));
        if (index >= 0) {
          // Numbers of taps stand in registers as far as there are some.
          const bool kept = kFirstTap + t < kZero;
          const int tap = kept ? static_cast<int>(kFirstTap + t) : kTap;
          (kept ? program.init : body).Constant(tap, number);
          if (t > 0) {
            body.Gt(kTest, kValue, kBest);
            body.Sel(kIndexOf, kTest, tap, t == 1 ? kFirstTap : kIndexOf);
          }
        }
        if (t > 0) body.Max(kBest, kValue, kBest);
      }
      body.StoreOperand(kBest, 1);
      if (index >= 0) body.StoreOperand(taps > 1 ? kIndexOf : kFirstTap, 2);
    } else {
      made.loops = static_cast<size_t>(2 * taps + 4) > kSectionWords;
      program.init.Constant(kScale, share);
      if (made.loops) {
        program.init.Copy(kSum, kZero);
        body.AddOperand(kSum, kSum, 0);
        program.final.Mul(kSum, kSum, kScale).StoreOperand(kSum, 1);
      } else {
        for (int64_t t = 0; t < taps; ++t) {
          const int at = offset(t / cx.taps, t % cx.taps);
          t == 0 ? body.LoadOperand(kSum, 0, at) : body.AddOperand(kSum, kSum, 0, at);
        }
        body.Mul(kSum, kSum, kScale).StoreOperand(kSum, 1);
      }
    }
    made.loaded = LoadLanes(std::move(program), shared, tag);
    return made;
  };

  ForEachTile(raster_.at(x), samples, l.to.height, l.to.width, tile, [&](const Patch& to) {
    const auto [from_y, from_rows] = down.Seen(to.y, to.rows);
    const auto [from_x, from_pixels] = across.Seen(to.x, to.pixels);
    const int64_t x_row = from_pixels * pixel;
    const int64_t y_row = to.pixels * pixel;
    const int in = s_->AddBuffer(static_cast<uint32_t>(from_rows * x_row), false);
    const int out = s_->AddBuffer(static_cast<uint32_t>(to.rows * y_row), false);
    const int indices =
        index < 0 ? -1 : s_->AddBuffer(static_cast<uint32_t>(to.rows * y_row), false);
    Task task;
    AddPatchLoads(task.loads, x, {to.of, from_y, from_rows, from_x, from_pixels}, 0, channels,
                  pitch, in, tag);
    for (const TapRun& all_rows : OutputRuns(down)) {
      const TapRun cy = all_rows.Within(to.y, to.rows);
      for (const TapRun& all_pixels : OutputRuns(across)) {
        const TapRun cx = all_pixels.Within(to.x, to.pixels);
        if (cy.count == 0 || cx.count == 0) continue;
        const Variant& made = program_for(cy, cx, x_row);
        // Loops over taps leave one for channels: a job then makes one pixel.
        const int64_t step_y = made.loops ? 1 : cy.count;
        const int64_t step_x = made.loops ? 1 : cx.count;
        for (int64_t oy = cy.begin; oy < cy.begin + cy.count; oy += step_y) {
          for (int64_t ox = cx.begin; ox < cx.begin + cx.count; ox += step_x) {
            const int64_t at_y = oy * w.stride_h + cy.tap * w.dilation_h - w.pad_top - from_y;
            const int64_t at_x = ox * w.stride_w + cx.tap * w.dilation_w - w.pad_left - from_x;
            lanes::Job job;
            job.streams[0] = StreamOf(at_y * x_row + at_x * pixel, pitch, w.stride_w * pixel,
                                      w.stride_h * x_row);
            job.streams[1] =
                StreamOf((oy - to.y) * y_row + (ox - to.x) * pixel, pitch, pixel, y_row);
            job.bounds = {KWords(channels) * word_ / slot, step_x, step_y};
            job.level = 3;
            if (made.loops) {
              job.level = 2;
              job.bounds = {cx.taps, cy.taps, KWords(channels) * word_ / slot};
              job.streams[0].strides = {pitch / slot, w.dilation_w * pixel / slot,
                                        w.dilation_h * x_row / slot, 1};
              job.streams[1].strides = {pitch / slot, 0, 0, 1};
            }
            if (index >= 0) job.streams[2] = job.streams[1];
            AddSampleJobs(task, made.loaded, job, samples, {in, out, indices, -1},
                          {pitch, pitch, pitch, 0}, 0b110, tag);
          }
        }
      }
    }
    for (Load& load : shared) task.loads.push_back(std::move(load));
    shared.clear();
    AddPatchStores(task.stores, y, to, 0, channels, pitch, out, tag);
    if (index >= 0) AddPatchStores(task.stores, index, to, 0, channels, pitch, indices, tag);
    AddTask(std::move(task));
  });
}

// ---- back-propagation

void Mapper::AddPoolBackward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer l = Mapped(op.layer);
  const Window& w = l.window;
  const bool is_max = l.kind == LayerKind::kMaxPool;
  const int dz = tensor_of_[op.Tensor(Role::kDz)];
  const int dx = tensor_of_[op.Tensor(Role::kDx)];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int index = is_max ? tensor_of_[op.Tensor(Role::kIndex)] : -1;
  const int64_t channels = l.from.channels;
  const int64_t slot = v_.array.cols * operand_;
  const int64_t pitch = LanePitch(channels);
  const int64_t width = WidthOf(dz);  // of gradients, in operands
  std::vector<std::pair<int, int64_t>> pitches = {{dz, pitch * width}, {dx, pitch * width}};
  if (op.mask) pitches.emplace_back(x, pitch);
  if (index >= 0) pitches.emplace_back(index, pitch);
  const int64_t samples = SamplesOfTurn(raster_.at(dx), pitches);
  const int64_t pixel = samples * pitch;
  const WindowAxis down = RowsOf(l);
  const WindowAxis across = ColumnsOf(l);
  const bool counts_all = is_max || l.count_pad;
  const std::vector<CellRun> cell_rows = CellRuns(down, counts_all);
  const std::vector<CellRun> cell_columns = CellRuns(across, counts_all);
  const std::vector<TapPhase> row_phases = InputPhases(down);
  const std::vector<TapPhase> column_phases = InputPhases(across);
  auto pixels_of = [](const WindowAxis& axis, int64_t cell, int64_t cells) {
    return std::min(axis.size, (cell + cells) * axis.stride) - cell * axis.stride;
  };
  // In cells.
  const int64_t cells = PixelsInReach(CeilDiv(across.size, across.stride), [&](int64_t of_tile) {
    const int64_t row =
        MostWindows(column_phases, across, {0, across.size}, pixels_of(across, 0, of_tile));
    return CeilDiv(w.kernel_h, w.stride_h) * row * pixel * width / slot;
  });
  const Tile tile =
      FitTile(CeilDiv(down.size, down.stride), cells, Scratchpad(budget) / TurnsOf(dx, samples),
              [&](const Tile& t) {
                const int64_t rows = pixels_of(down, 0, t.rows);
                const int64_t pixels = pixels_of(across, 0, t.pixels);
                return (MostWindows(row_phases, down, {0, down.size}, rows) *
                            MostWindows(column_phases, across, {0, across.size}, pixels) *
                            (width + (is_max ? 1 : 0)) +
                        rows * pixels * (width + (op.mask ? 1 : 0))) *
                       pixel;
              });
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "cells of {} x {} pixels of {} through the lanes; tiles of {} x {} cells by {} samples",
        std::min(down.stride, down.size), std::min(across.stride, across.size), local_[dx].name,
        tile.rows, tile.pixels, samples);
  }

  // A pixel of a cell and what sees it.
  struct Pixel {
    const CellRun::Input* row = nullptr;
    const CellRun::Input* column = nullptr;
    int64_t y = 0, x = 0;
  };
  using Taps = std::pair<int64_t, int64_t>;
  // Few enough windows keep their values in registers; else they are loaded for each pixel.
  auto windows_of = [](const std::vector<CellRun>& runs) {
    std::set<int64_t> all;
    for (const CellRun& run : runs) {
      for (const CellRun::Input& input : run.inputs) {
        for (int64_t j = 0; j < input.taps; ++j) all.insert(input.window - j * input.back);
      }
    }
    return all.size();
  };
  const size_t all_windows = windows_of(cell_rows) * windows_of(cell_columns);
  const bool cached = all_windows <= static_cast<size_t>((kZero - kFirstWindow) / 2);
  const size_t window_registers = cached ? all_windows : 1;
  // Programs of up to so many words; the pixels that one cannot hold go to the next.
  // `first` is the window that streams begin with, as seen from cell 0.
  auto make = [&](const std::vector<Pixel>& pixels, const Taps& first, int64_t z_row, int64_t x_row,
                  size_t begin, size_t* end) {
    lanes::Program program;
    lanes::Section& body = program.body;
    std::map<Taps, int> windows;
    std::map<float, int> taps;  // numbers of taps in registers, as far as there are some
    int free = kFirstWindow + 2 * static_cast<int>(window_registers);
    // Of a mean: what windows divide by. Where that is the same for all, sums are divided.
    auto count_of = [](const Pixel& p, int64_t j, int64_t i) {
      return p.row->counts[j] * p.column->counts[i];
    };
    std::set<int64_t> counts;
    for (const Pixel& p : pixels) {
      for (int64_t j = 0; j < p.row->taps; ++j) {
        for (int64_t i = 0; i < p.column->taps; ++i) counts.insert(count_of(p, j, i));
      }
    }
    const bool divides_sums = !is_max && counts.size() == 1;
    const bool divides_windows = !is_max && counts.size() > 1;
    // Words that a window takes at most.
    const size_t of_mean = divides_windows ? (cached ? 5 : 4) : 2;
    const bool masks_wide = width > 1 && op.mask;
    const size_t of_window = !is_max ? of_mean : cached ? 5 : 6;
    auto share = [](int64_t count) { return 1.0f / static_cast<float>(count); };
    if (divides_sums) program.init.Constant(kScale, share(*counts.begin()));
    for (*end = begin; *end < pixels.size(); ++*end) {
      const Pixel& p = pixels[*end];
      struct Seen {
        Taps at;
        float tap;
        int64_t count;
      };
      std::vector<Seen> seen_by;
      for (int64_t j = 0; j < p.row->taps; ++j) {
        for (int64_t i = 0; i < p.column->taps; ++i) {
          const int64_t ky = p.row->tap + j * p.row->tap_step;
          const int64_t kx = p.column->tap + i * p.column->tap_step;
          seen_by.push_back(
              {{p.row->window - j * p.row->back, p.column->window - i * p.column->back},
               IndexOf(ky * w.kernel_w + kx),
               count_of(p, j, i)});
        }
      }
      // A masked store of a wide gradient takes a word more.
      const size_t more = masks_wide ? *end - begin + 1 : 0;
      if (program.Words().size() + of_window * seen_by.size() + 4 + more > kProgramWords) break;
      auto load_window = [&](const Seen& seen) {
        const Taps& at = seen.at;
        const auto [found, is_new] = windows.try_emplace(
            at, kFirstWindow + (cached ? 2 * static_cast<int>(windows.size()) : 0));
        if (!is_new) return found->second;
        const auto offset = static_cast<int>(
            ((at.first - first.first) * z_row + (at.second - first.second) * pixel) / slot);
        if (is_max) body.LoadOperand(found->second, 0, offset);
        body.LoadOperand(found->second + 1, 1, offset);
        if (divides_windows) {
          body.Constant(kScale, share(seen.count));
          if (cached) body.Mul(found->second + 1, found->second + 1, kScale);
        }
        return found->second;
      };
      int sum = kZero;
      for (const Seen& seen : seen_by) {
        if (!cached) windows.clear();
        const int reg = load_window(seen);
        const float tap = seen.tap;
        int value = reg + 1;
        if (is_max) {
          if (taps.count(tap) == 0 && free < kZero) {
            program.init.Constant(free, tap);
            taps[tap] = free++;
          }
          const bool kept = taps.count(tap) != 0;
          if (!kept) body.Constant(kTap, tap);
          body.Eq(kTest, reg, kept ? taps[tap] : kTap);
          value = sum == kZero ? kSum : kValue;
          body.Sel(value, kTest, reg + 1, kZero);
        }
        if (divides_windows && !cached) {
          body.Mad(kSum, value, kScale, sum);
          sum = kSum;
        } else if (sum != kZero) {
          body.Add(kSum, sum, value);
          sum = kSum;
        } else if (!cached && value != kSum) {
          body.Copy(kSum, value);
          sum = kSum;
        } else {
          sum = value;
        }
      }
      if (divides_sums && sum != kZero) {
        body.Mul(kSum, sum, kScale);
        sum = kSum;
      }
      const auto offset = static_cast<int>((p.y * x_row + p.x * pixel) / slot);
      if (op.mask && sum != kZero) {
        body.LoadOperand(kBest, 2, offset).StoreMasked(sum, kBest, 3, offset);
      } else {
        body.StoreOperand(sum, 3, offset);
      }
    }
    if (*end == begin) {
      RefuseInput(
          "{}: layer {}: more windows see a pixel than a lane program can hold; accepted: "
          "up to {}",
          graph_.file, l.name, (kProgramWords - 6 - (masks_wide ? 1 : 0)) / of_window);
    }
    return program;
  };

  auto first_of = [](const CellRun& run) {
    int64_t first = std::numeric_limits<int64_t>::max();
    for (const CellRun::Input& input : run.inputs) {
      if (input.taps > 0) first = std::min(first, input.window - (input.taps - 1) * input.back);
    }
    return first == std::numeric_limits<int64_t>::max() ? 0 : first;
  };
  std::map<std::vector<uint32_t>, LoadedProgram> loaded;
  auto visit = [&](const Patch& cells) {
    const Patch to = {cells.of, cells.y * down.stride, pixels_of(down, cells.y, cells.rows),
                      cells.x * across.stride, pixels_of(across, cells.x, cells.pixels)};
    const auto [z_y, z_rows] = WindowsOf(row_phases, down, to.y, to.rows);
    const auto [z_x, z_pixels] = WindowsOf(column_phases, across, to.x, to.pixels);
    const bool is_seen = z_rows > 0 && z_pixels > 0;
    const int64_t z_row = z_pixels * pixel;
    const int64_t x_row = to.pixels * pixel;
    const int64_t z_bytes = z_rows * z_row;
    const int out = s_->AddBuffer(static_cast<uint32_t>(to.rows * x_row * width), false);
    const int gradient =
        is_seen ? s_->AddBuffer(static_cast<uint32_t>(z_bytes * width), false) : -1;
    const int indices =
        is_seen && is_max ? s_->AddBuffer(static_cast<uint32_t>(z_bytes), false) : -1;
    const int mask = op.mask ? s_->AddBuffer(static_cast<uint32_t>(to.rows * x_row), false) : -1;
    Task task;
    const Patch z = {to.of, z_y, z_rows, z_x, z_pixels};
    if (is_seen) AddPatchLoads(task.loads, dz, z, 0, channels, pitch * width, gradient, tag);
    if (indices >= 0) AddPatchLoads(task.loads, index, z, 0, channels, pitch, indices, tag);
    if (op.mask) AddPatchLoads(task.loads, x, to, 0, channels, pitch, mask, tag);
    for (const CellRun& all_rows : cell_rows) {
      const CellRun ry = all_rows.Within(cells.y, cells.rows);
      for (const CellRun& all_columns : cell_columns) {
        const CellRun rx = all_columns.Within(cells.x, cells.pixels);
        if (ry.count == 0 || rx.count == 0) continue;
        const Taps first = {first_of(ry), first_of(rx)};
        std::vector<Pixel> pixels;
        for (size_t y = 0; y < ry.inputs.size(); ++y) {
          for (size_t column = 0; column < rx.inputs.size(); ++column) {
            pixels.push_back({&ry.inputs[y], &rx.inputs[column], static_cast<int64_t>(y),
                              static_cast<int64_t>(column)});
          }
        }
        for (size_t begin = 0, end = 0; begin < pixels.size(); begin = end) {
          lanes::Program program = make(pixels, first, z_row, x_row, begin, &end);
          auto [found, is_new] = loaded.try_emplace(program.Words());
          if (is_new) {
            found->second =
                LoadLanes(std::move(program), task.loads, tag, WideStreams({-1, dz, -1, dx}));
          }
          lanes::Job job;
          job.bounds = {KWords(channels) * word_ / slot, rx.count, ry.count};
          job.level = 3;
          if (gradient >= 0) {
            job.streams[0] = StreamOf(
                (ry.begin + first.first - z_y) * z_row + (rx.begin + first.second - z_x) * pixel,
                pitch, pixel, z_row);
          }
          job.streams[1] = job.streams[0];
          job.streams[2] = StreamOf(
              (ry.begin - cells.y) * w.stride_h * x_row + (rx.begin - cells.x) * w.stride_w * pixel,
              pitch, w.stride_w * pixel, w.stride_h * x_row);
          job.streams[3] = job.streams[2];
          AddSampleJobs(task, found->second, job, samples, {indices, gradient, mask, out},
                        {pitch, pitch, pitch, pitch}, 0b1000, tag);
        }
      }
    }
    AddPatchStores(task.stores, dx, to, 0, channels, pitch * width, out, tag);
    AddTask(std::move(task));
  };
  ForEachTile(raster_.at(dx), samples, CeilDiv(down.size, down.stride),
              CeilDiv(across.size, across.stride), tile, visit);
}

}  // namespace vaultrain
