// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Pooling: lane programs over bands of images.
//
// A register holds the samples of a group as its groups and Cols channels in its lanes; the loops
// of LANES walk channels, columns and rows.
//
// FF takes the taps of a window one after another. Windows at the edge see fewer of them: rows and
// columns of windows that see the same taps make a job. BP goes by cells of stride x stride pixels:
// the pixels of a cell see the same few windows, whose gradients (and, of a maximum, its index and
// value) are loaded once for all of them.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "mapper/mapping.h"
#include "mapper/windows.h"
#include "vaultrain/error.h"

namespace vaultrain {

using isa::Descriptor;
using isa::FieldId;

namespace {

// Of a lane program: what LANES can hold, and what a section of it can.
constexpr size_t kProgramWords = 128;
constexpr size_t kSectionWords = 63;

// Windows that see the same taps along one axis.
struct EdgeClass {
  int64_t begin = 0, count = 0;
  int64_t tap = 0, taps = 0;
};

std::vector<EdgeClass> EdgeClasses(int64_t outputs, int64_t size, int64_t kernel, int64_t stride,
                                   int64_t dilation, int64_t pad) {
  std::vector<EdgeClass> classes;
  for (int64_t o = 0; o < outputs; ++o) {
    int64_t tap = 0;
    while (o * stride + tap * dilation < pad) ++tap;
    int64_t end = kernel;
    while (end > tap && o * stride + (end - 1) * dilation - pad >= size) --end;
    if (!classes.empty() && classes.back().tap == tap && classes.back().taps == end - tap) {
      ++classes.back().count;
    } else {
      classes.push_back({o, 1, tap, end - tap});
    }
  }
  return classes;
}

// Registers of the programs below.
enum : int { kBest = 0, kIndexOf = 1, kValue = 2, kTest = 3, kTap = 4, kSum = 5, kScale = 6 };
constexpr int kFirstWindow = 7;  // index and gradient of each window
constexpr int kZero = 15;        // never written

}  // namespace

// ---- lane programs

// The program in memory, placed at its first use.
Load Mapper::LoadLaneProgram(const lanes::Program& program, int* buffer, int tag) {
  const std::vector<uint32_t> words = program.Words();
  auto found = lane_programs_.find(words);
  if (found == lane_programs_.end()) {
    const int tensor =
        Allocate(fmt::format("lanes.{}", lane_programs_.size()), TensorRole::kConstant,
                 ElementFormat::kFp32, 1, static_cast<int64_t>(words.size()));
    for (size_t node = 0; node < grid_.places.size(); ++node) {
      ProgramSegment segment;
      segment.address = local_[tensor].address + node * vault_bytes_;
      for (const uint32_t word : words) {
        for (int b = 0; b < 4; ++b) segment.bytes.push_back(static_cast<uint8_t>(word >> 8 * b));
      }
      program_.image.push_back(std::move(segment));
    }
    found = lane_programs_.emplace(words, tensor).first;
  }
  const int64_t pitch = RoundUp(local_[found->second].pitch_bytes, word_);
  *buffer = s_->AddBuffer(static_cast<uint32_t>(pitch), true);
  return LoadPlain(found->second, 0, 1, 0, static_cast<int64_t>(words.size()), 0, pitch, false,
                   *buffer, tag);
}

// The bases of the job's streams count from the beginning of their buffers.
Step Mapper::Lanes(const lanes::Program& program, int program_buffer, const lanes::Job& job,
                   const std::array<int, isa::kLaneStreams>& buffers, unsigned written,
                   int tag) const {
  Step step;
  step.engine = Engine::kVector;
  step.buffers = {{program_buffer, false}};
  for (int i = 0; i < isa::kLaneStreams; ++i) {
    if (buffers[i] >= 0) step.buffers.push_back({buffers[i], (written >> i & 1) != 0});
  }
  step.make = [=, this](const Place&) {
    lanes::Job placed = job;
    for (int i = 0; i < isa::kLaneStreams; ++i) {
      if (buffers[i] >= 0) placed.streams[i].base += s_->AddressOf(buffers[i]);
    }
    Descriptor d = lanes::MakeDescriptor(
        program, static_cast<uint32_t>(s_->AddressOf(program_buffer) / word_), placed);
    d.Set(FieldId::kTag, tag);
    return d;
  };
  return step;
}

// Values of a group of samples at a pixel: loops over channels, pixels and rows of a band.
lanes::Stream Mapper::StreamOf(int64_t offset, int64_t pitch, int64_t step, int64_t row) const {
  const int64_t slot = v_.array.cols * operand_;
  lanes::Stream stream;
  stream.base = static_cast<uint32_t>(offset);
  stream.strides = {pitch / slot, 1, step / slot, row / slot};
  return stream;
}

// ---- feed-forward

void Mapper::AddPoolForward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer l = Mapped(op.layer);
  const Window& w = l.window;
  const bool is_max = l.kind == LayerKind::kMaxPool;
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int index = op.Tensor(Role::kIndex) < 0 ? -1 : tensor_of_[op.Tensor(Role::kIndex)];
  const Raster& rx = raster_.at(x);
  const Raster& ry = raster_.at(y);
  const int64_t samples = rx.samples;
  const int64_t channels = l.from.channels;
  const int64_t slot = v_.array.cols * operand_;
  const int64_t pitch = OutPitch(local_[y], channels);
  const int64_t x_row = rx.image.width * samples * pitch;
  const int64_t y_row = l.to.width * samples * pitch;
  const auto rows_of =
      EdgeClasses(l.to.height, l.from.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
  const auto columns_of =
      EdgeClasses(l.to.width, l.from.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
  // Rows of X that a run of windows sees.
  auto seen = [&](int64_t begin, int64_t rows) {
    const int64_t first = std::max<int64_t>(0, begin * w.stride_h - w.pad_top);
    const int64_t last = std::min(l.from.height - 1, (begin + rows - 1) * w.stride_h - w.pad_top +
                                                         (w.kernel_h - 1) * w.dilation_h);
    return std::pair(first, last - first + 1);
  };
  int64_t band = l.to.height;
  while (band > 1 && 2 * (seen(0, band).second * x_row + band * y_row * (index < 0 ? 1 : 2)) >
                         Scratchpad(budget)) {
    band = CeilDiv(band, 2);
  }
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format("windows of {} through the lanes; bands of {} rows by {} samples",
                                  local_[x].name, band, samples);
  }

  // The program of windows that see these taps. Beyond what unrolls, the taps of a mean are loops.
  struct Variant {
    lanes::Program program;
    bool loops = false;
    int buffer = -1;
  };
  std::map<std::array<int64_t, 4>, Variant> programs;
  std::vector<Load> shared;
  auto program_for = [&](const EdgeClass& cy, const EdgeClass& cx) -> const Variant& {
    auto [found, is_new] = programs.try_emplace({cy.tap, cy.taps, cx.tap, cx.taps});
    Variant& made = found->second;
    if (!is_new) return made;
    const int64_t taps = cy.taps * cx.taps;
    const float share = 1.0f / static_cast<float>(l.count_pad ? w.taps() : taps);
    auto offset = [&](int64_t ky, int64_t kx) {
      return static_cast<int>((ky * w.dilation_h * x_row + kx * w.dilation_w * samples * pitch) /
                              slot);
    };
    lanes::Section& body = made.program.body;
    if (is_max) {
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t ky = t / cx.taps;
        const int64_t kx = t % cx.taps;
        const auto number = static_cast<float>((cy.tap + ky) * w.kernel_w + cx.tap + kx);
        body.LoadOperand(t == 0 ? kBest : kValue, 0, offset(ky, kx));
        if (index >= 0) {
          if (t > 0) body.Gt(kTest, kValue, kBest);
          body.Constant(t == 0 ? kIndexOf : kTap, number);
          if (t > 0) body.Sel(kIndexOf, kTest, kTap, kIndexOf);
        }
        if (t > 0) body.Max(kBest, kValue, kBest);
      }
      body.StoreOperand(kBest, 1);
      if (index >= 0) body.StoreOperand(kIndexOf, 2);
    } else {
      made.loops = static_cast<size_t>(2 * taps + 4) > kSectionWords;
      made.program.init.Constant(kScale, share);
      if (made.loops) {
        made.program.init.Copy(kSum, kZero);
        body.LoadOperand(kValue, 0).Add(kSum, kSum, kValue);
        made.program.final.Mul(kSum, kSum, kScale).StoreOperand(kSum, 1);
      } else {
        for (int64_t t = 0; t < taps; ++t) {
          body.LoadOperand(t == 0 ? kSum : kValue, 0, offset(t / cx.taps, t % cx.taps));
          if (t > 0) body.Add(kSum, kSum, kValue);
        }
        body.Mul(kSum, kSum, kScale).StoreOperand(kSum, 1);
      }
    }
    if (made.program.Words().size() > kProgramWords) {
      RefuseInput("{}: layer {}: a maximum of {} taps is not supported; accepted: up to {}",
                  graph_.file, l.name, taps, index < 0 ? 42 : 24);
    }
    shared.push_back(LoadLaneProgram(made.program, &made.buffer, tag));
    return made;
  };

  for (int64_t g = 0; g < rx.groups; ++g) {
    for (int64_t y0 = 0; y0 < l.to.height; y0 += band) {
      const int64_t rows = std::min(band, l.to.height - y0);
      const auto [x0, x_rows] = seen(y0, rows);
      const int in = s_->AddBuffer(static_cast<uint32_t>(x_rows * x_row), false);
      const int out = s_->AddBuffer(static_cast<uint32_t>(rows * y_row), false);
      const int indices =
          index < 0 ? -1 : s_->AddBuffer(static_cast<uint32_t>(rows * y_row), false);
      Task task;
      AddBandLoads(task.loads, x, rx, g, x0, x_rows, 0, channels, pitch, in, tag);
      for (const EdgeClass& cy : rows_of) {
        const int64_t begin = std::max(cy.begin, y0);
        const int64_t end = std::min(cy.begin + cy.count, y0 + rows);
        if (begin >= end) continue;
        for (const EdgeClass& cx : columns_of) {
          const Variant& made = program_for(cy, cx);
          // Loops over taps leave one for channels: a job then makes one pixel.
          const int64_t step_y = made.loops ? 1 : end - begin;
          const int64_t step_x = made.loops ? 1 : cx.count;
          for (int64_t oy = begin; oy < end; oy += step_y) {
            for (int64_t ox = cx.begin; ox < cx.begin + cx.count; ox += step_x) {
              const int64_t from_y = oy * w.stride_h + cy.tap * w.dilation_h - w.pad_top - x0;
              const int64_t from_x = ox * w.stride_w + cx.tap * w.dilation_w - w.pad_left;
              const int64_t to = (oy - y0) * y_row + ox * samples * pitch;
              lanes::Job job;
              job.groups = static_cast<int>(samples);
              job.streams[0] = StreamOf(from_y * x_row + from_x * samples * pitch, pitch,
                                        w.stride_w * samples * pitch, w.stride_h * x_row);
              job.streams[1] = StreamOf(to, pitch, samples * pitch, y_row);
              job.bounds = {KWords(channels) * word_ / slot, step_x, step_y};
              job.level = 3;
              if (made.loops) {
                job.level = 2;
                job.bounds = {cx.taps, cy.taps, KWords(channels) * word_ / slot};
                job.streams[0].strides = {pitch / slot, w.dilation_w * samples * pitch / slot,
                                          w.dilation_h * x_row / slot, 1};
                job.streams[1].strides = {pitch / slot, 0, 0, 1};
              }
              if (index >= 0) job.streams[2] = job.streams[1];
              task.work.push_back(
                  Lanes(made.program, made.buffer, job, {in, out, indices, -1}, 0b110, tag));
            }
          }
        }
      }
      for (Load& load : shared) task.loads.push_back(std::move(load));
      shared.clear();
      AddBandStores(task.stores, y, ry, g, y0, rows, 0, channels, pitch, out, tag);
      if (index >= 0) {
        AddBandStores(task.stores, index, raster_.at(index), g, y0, rows, 0, channels, pitch,
                      indices, tag);
      }
      s_->AddTask(std::move(task));
    }
  }
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
  const Raster& rz = raster_.at(dz);
  const Raster& rd = raster_.at(dx);
  const Raster& rx = raster_.at(x);
  const int64_t samples = rz.samples;
  const int64_t channels = l.from.channels;
  const int64_t slot = v_.array.cols * operand_;
  const int64_t pitch = OutPitch(local_[dx], channels);
  const int64_t pixel = samples * pitch;
  const int64_t z_row = rz.Width() * pixel;
  const int64_t x_row = l.from.width * pixel;
  const std::vector<TapPhase> row_phases = RowPhases(l);
  const std::vector<TapPhase> column_phases = ColumnPhases(l);
  if (!is_max && !l.count_pad && w.pad_top + w.pad_left + w.pad_bottom + w.pad_right > 0) {
    RefuseInput(
        "{}: layer {}: the mean of windows that count only pixels of the image is not trained "
        "behind padding yet; accepted: count_include_pad = 1, or no padding",
        graph_.file, l.name);
  }
  if (rz.image.width > 1 && index >= 0 && raster_.at(index).Width() != rz.Width()) {
    throw Error(ExitStatus::kInternal, "index and gradient lie differently");
  }

  // Rows of dZ that cells of a band see.
  auto seen = [&](int64_t begin, int64_t rows) {
    int64_t first = rz.image.height;
    int64_t end = -rz.image.height;
    for (const TapPhase& p : row_phases) {
      const auto [t0, t1] = p.Between(begin, rows, w.stride_h);
      if (t1 <= t0) continue;
      first = std::min(first, p.First(t0));
      end = std::max(end, p.Last(t1) + 1);
    }
    return std::pair(first, std::max(first, end));
  };
  int64_t band = l.from.height;
  while (band > w.stride_h) {
    const auto [first, end] = seen(0, band);
    if (2 * ((end - first) * z_row * 2 + 2 * band * x_row) <= Scratchpad(budget)) break;
    band = RoundUp(band / 2, w.stride_h);
  }
  if (data_flow_[tag].empty()) {
    data_flow_[tag] = fmt::format(
        "cells of {} by {} pixels of {} through the lanes; bands of {} rows by {} samples",
        std::min(w.stride_h, l.from.height), std::min(w.stride_w, l.from.width), local_[dx].name,
        band, samples);
  }

  // A pixel of a cell and the windows that see it.
  struct Pixel {
    const TapPhase* py = nullptr;
    const TapPhase* px = nullptr;
    int64_t y = 0, x = 0;
  };
  using Taps = std::pair<int64_t, int64_t>;
  const float share = 1.0f / static_cast<float>(w.taps());
  // Few enough windows keep their values in registers; else they are loaded for each pixel.
  std::set<Taps> all_windows;
  for (const TapPhase& py : row_phases) {
    for (const TapPhase& px : column_phases) {
      for (int64_t j = 0; j < py.taps; ++j) {
        for (int64_t i = 0; i < px.taps; ++i) {
          all_windows.insert({py.from - j * py.back, px.from - i * px.back});
        }
      }
    }
  }
  const bool cached = all_windows.size() <= static_cast<size_t>((kZero - kFirstWindow) / 2);
  // Programs of up to so many words; the pixels that one cannot hold go to the next.
  auto make = [&](const std::vector<Pixel>& pixels, size_t begin, size_t* end) {
    lanes::Program program;
    lanes::Section& body = program.body;
    std::map<Taps, int> windows;
    if (!is_max) body.Constant(kScale, share);
    for (*end = begin; *end < pixels.size(); ++*end) {
      const Pixel& p = pixels[*end];
      std::vector<std::pair<Taps, float>> seen_by;
      for (int64_t j = 0; p.py != nullptr && j < p.py->taps; ++j) {
        for (int64_t i = 0; p.px != nullptr && i < p.px->taps; ++i) {
          const int64_t ky = p.py->tap + j * p.py->tap_step;
          const int64_t kx = p.px->tap + i * p.px->tap_step;
          seen_by.push_back({{p.py->from - j * p.py->back, p.px->from - i * p.px->back},
                             static_cast<float>(ky * w.kernel_w + kx)});
        }
      }
      const size_t cost = (cached ? 3 : 6) * seen_by.size() + (cached ? 2 * seen_by.size() : 0) + 4;
      if (body.words().size() + cost > kProgramWords) break;
      auto load_window = [&](const Taps& at) {
        const auto [found, is_new] = windows.try_emplace(
            at, kFirstWindow + (cached ? 2 * static_cast<int>(windows.size()) : 0));
        if (!is_new) return found->second;
        const auto offset = static_cast<int>((at.first * z_row + at.second * pixel) / slot);
        if (is_max) body.LoadOperand(found->second, 0, offset);
        body.LoadOperand(found->second + 1, 1, offset);
        return found->second;
      };
      int sum = kZero;
      for (const auto& [at, tap] : seen_by) {
        if (!cached) windows.clear();
        const int reg = load_window(at);
        int value = reg + 1;
        if (is_max) {
          body.Constant(kTap, tap).Eq(kTest, reg, kTap);
          value = sum == kZero ? kSum : kValue;
          body.Sel(value, kTest, reg + 1, kZero);
        }
        if (sum != kZero) {
          body.Add(kSum, sum, value);
          sum = kSum;
        } else if (!cached && value != kSum) {
          body.Copy(kSum, value);
          sum = kSum;
        } else {
          sum = value;
        }
      }
      if (!is_max && sum != kZero) {
        body.Mul(kSum, sum, kScale);
        sum = kSum;
      }
      const auto offset = static_cast<int>((p.y * x_row + p.x * pixel) / slot);
      if (op.mask && sum != kZero) {
        body.LoadOperand(kBest, 2, offset).Sel(kSum, kBest, sum, kZero);
        sum = kSum;
      }
      body.StoreOperand(sum, 3, offset);
    }
    if (*end == begin) {
      RefuseInput(
          "{}: layer {}: more windows see a pixel than a lane program can hold; accepted: "
          "up to {}",
          graph_.file, l.name, (kZero - kFirstWindow) / 2);
    }
    return program;
  };

  // Whole cells, and what is left of them at the far edges.
  struct Part {
    int64_t begin = 0, cells = 0, pixels = 0;
  };
  auto parts_of = [](int64_t begin, int64_t size, int64_t stride) {
    std::vector<Part> parts;
    if (size >= stride) parts.push_back({begin, size / stride, stride});
    if (size % stride != 0) parts.push_back({begin + size / stride * stride, 1, size % stride});
    return parts;
  };
  auto phase_at = [](const std::vector<TapPhase>& phases, int64_t at) -> const TapPhase* {
    for (const TapPhase& p : phases) {
      if (p.at == at) return &p;
    }
    return nullptr;
  };
  std::map<std::vector<uint32_t>, int> buffers;
  for (int64_t g = 0; g < rz.groups; ++g) {
    for (int64_t y0 = 0; y0 < l.from.height; y0 += band) {
      const int64_t rows = std::min(band, l.from.height - y0);
      const auto [z0, z1] = seen(y0, rows);
      const int64_t z_rows = std::max<int64_t>(1, z1 - z0);
      const int out = s_->AddBuffer(static_cast<uint32_t>(rows * x_row), false);
      const int gradient = s_->AddBuffer(static_cast<uint32_t>(z_rows * z_row), false);
      const int indices = is_max ? s_->AddBuffer(static_cast<uint32_t>(z_rows * z_row), false) : -1;
      const int mask = op.mask ? s_->AddBuffer(static_cast<uint32_t>(rows * x_row), false) : -1;
      Task task;
      auto load = [&](int tensor, int buffer) {
        const Raster& r = raster_.at(tensor);
        task.loads.emplace_back(LoadPlain(tensor, r.Row(g, z0, -r.left),
                                          z_rows * r.Width() * samples, 0, channels, 0, pitch,
                                          false, buffer, tag));
      };
      if (z1 > z0) {
        load(dz, gradient);
        if (is_max) load(index, indices);
      }
      if (op.mask) AddBandLoads(task.loads, x, rx, g, y0, rows, 0, channels, pitch, mask, tag);
      for (const Part& py : parts_of(y0, rows, w.stride_h)) {
        for (const Part& px : parts_of(0, l.from.width, w.stride_w)) {
          std::vector<Pixel> pixels;
          for (int64_t y = 0; y < py.pixels; ++y) {
            for (int64_t xx = 0; xx < px.pixels; ++xx) {
              pixels.push_back({phase_at(row_phases, y), phase_at(column_phases, xx), y, xx});
            }
          }
          for (size_t begin = 0, end = 0; begin < pixels.size(); begin = end) {
            const lanes::Program program = make(pixels, begin, &end);
            auto [found, is_new] = buffers.try_emplace(program.Words(), -1);
            if (is_new) task.loads.push_back(LoadLaneProgram(program, &found->second, tag));
            // Bands begin with whole cells, so that cell c sees windows from c on.
            const int64_t window =
                ((py.begin / w.stride_h) - z0) * z_row + (px.begin / w.stride_w + rz.left) * pixel;
            const int64_t cell = (py.begin - y0) * x_row + px.begin * pixel;
            lanes::Job job;
            job.groups = static_cast<int>(samples);
            job.bounds = {KWords(channels) * word_ / slot, px.cells, py.cells};
            job.streams[0] = StreamOf(window, pitch, pixel, z_row);
            job.streams[1] = job.streams[0];
            job.streams[2] = StreamOf(cell, pitch, w.stride_w * pixel, w.stride_h * x_row);
            job.streams[3] = job.streams[2];
            task.work.push_back(
                Lanes(program, found->second, job, {indices, gradient, mask, out}, 0b1000, tag));
          }
        }
      }
      AddBandStores(task.stores, dx, rd, g, y0, rows, 0, channels, pitch, out, tag);
      s_->AddTask(std::move(task));
    }
  }
}

}  // namespace vaultrain
