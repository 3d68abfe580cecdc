// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

//
// How a training graph becomes descriptors: what the parts of the mapper share.
//
// memory.cpp places tensors and mapper.cpp maps the operations in order; tiles.cpp maps a matrix
// product onto one node; partition.cpp maps one onto all nodes of a mesh; windows.cpp and
// window_updates.cpp (with patches.cpp, taps.cpp, nests.cpp and groups.cpp) and pools.cpp map
// convolutions and pooling onto either, normalise.cpp, batch_norm.cpp, softmax.cpp, products.cpp,
// recurrent.cpp (with gates.cpp), elements.cpp, concat.cpp and arrange.cpp the other layers,
// losses.cpp the loss, optimiser.cpp the steps of optimisers that keep state, lane_jobs.cpp makes
// jobs of lane programs, schedule.cpp orders all of it, explain.cpp tells what was decided and why.

#ifndef VAULTRAIN_SRC_MAPPER_MAPPING_H_
#define VAULTRAIN_SRC_MAPPER_MAPPING_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mapper/schedule.h"
#include "vaultrain/explain.h"
#include "vaultrain/lane_program.h"
#include "vaultrain/mapper.h"

namespace vaultrain {

inline constexpr int64_t kAccess = isa::kAccessBytes;

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }

// One operand of a matrix product as the PE array wants it, rows of K contiguous elements: a tensor
// as it lies in memory, or its transpose.
struct Operand2D {
  int tensor = 0;
  bool transposed = false;
};

// C[m][n] = post(sum over k of A[m][k] * B[n][k]).
struct Gemm {
  std::string layer;
  int tag = 0;
  int64_t m = 0, n = 0, k = 0;
  Operand2D a, b;
  int out = 0;            // tensor; with in_place also what is added to
  bool in_place = false;  // out += scale * C
  int bias = -1;          // tensor added to each row
  int mask = -1;          // tensor whose sign masks the result
  bool relu = false;
  bool scale = false;  // multiply by scalar kScalarStep
};

// How a product is cut: rows of A and rows of B in a tile, and which operand stays while the other
// streams.
struct Tiling {
  int64_t mt = 0, nt = 0;
  bool a_stays = true;
  bool streams_whole = false;  // the streaming operand is so small that all of it stays, too
};

// How the samples of a node lie in memory as rows of channels: group, y, x, sample of the group.
// Groups are as large as a word of operands, so that transposed, with samples side by side, every
// pixel begins a word.
struct Raster {
  Image image;
  int64_t samples = 0;  // of a group
  int64_t groups = 0;
  // Some of it is read, but not written: samples that fill up a group, gradients of pixels that no
  // window sees and of channels that a slice leaves out.
  bool has_zeros = false;

  int64_t Rows() const { return groups * image.pixels() * samples; }
  // The first sample of a group at a pixel.
  int64_t Row(int64_t group, int64_t y, int64_t x) const {
    return ((group * image.height + y) * image.width + x) * samples;
  }
};

// Pixels that are worked on at once, and where they are.
struct Tile {
  int64_t rows = 0, pixels = 0;
};
// Samples of a raster's group: all, or those of a turn. Where a node has one group only, its two
// halves take turns in images, so that the lanes work on one while the array works on the other.
struct Samples {
  int64_t group = 0;
  int64_t begin = 0, count = 0;
};
struct Patch {
  Samples of;
  int64_t y = 0, rows = 0;
  int64_t x = 0, pixels = 0;
};

// Calls `visit` for every tile of a part of an image.
template <typename Visit>
void ForEachTile(const Patch& all, const Tile& tile, Visit visit) {
  for (int64_t y = 0; y < all.rows; y += tile.rows) {
    for (int64_t x = 0; x < all.pixels; x += tile.pixels) {
      visit(Patch{all.of, all.y + y, std::min(tile.rows, all.rows - y), all.x + x,
                  std::min(tile.pixels, all.pixels - x)});
    }
  }
}

// Of the images of all samples, so many samples of a group in a turn.
template <typename Visit>
void ForEachTile(const Raster& raster, int64_t samples, int64_t height, int64_t width,
                 const Tile& tile, Visit visit) {
  for (int64_t g = 0; g < raster.groups; ++g) {
    for (int64_t s = 0; s < raster.samples; s += samples) {
      ForEachTile(Patch{{g, s, samples}, 0, height, 0, width}, tile, visit);
    }
  }
}

// Nodes that have the same part of the outputs and different parts of the batch, or the other way
// round.
enum class Axis { kBatch = 0, kOutputs = 1 };

// How the nodes share the work: each has one part of the batch and one part of the outputs of the
// layers that are split. Nodes that differ in the part of the batch alone share weights.
struct Grid {
  struct Side {
    int parts = 1;
    isa::Group group = isa::Group::kAll;  // nodes along this axis
  };
  Side batch;
  Side outputs;
  std::vector<Place> places;  // per node, y * columns + x

  const Side& Of(Axis axis) const { return axis == Axis::kBatch ? batch : outputs; }
  static int PartOf(const Place& place, Axis axis) {
    return axis == Axis::kBatch ? place.batch_part : place.output_part;
  }
  // The node of a part along an axis, seen from another node.
  const Place& At(Axis axis, int part, const Place& from) const;
};

// Whether the batch can be cut as the partition needs it.
bool Suits(const Variant& variant, const TrainingGraph& graph, Partition partition);
// Throws Error(kUnusableInput) if the batch cannot be cut so.
Partition CheckedPartition(const Variant& variant, const TrainingGraph& graph, Partition partition);
// The partition with the fewest cycles by a model of array, pins and links; what it weighs goes
// into the explanation, if there is one.
Partition ChoosePartition(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
                          Explanation* explanation);

Grid MakeGrid(Partition partition, int columns, int rows);

// A number that depends on the part that a node has.
struct Offset {
  Offset(int64_t base) : base(base) {}  // NOLINT(runtime/explicit)
  Offset(int64_t base, int64_t per_output_part) : base(base), per_output_part(per_output_part) {}
  int64_t base = 0;
  int64_t per_output_part = 0;
  int64_t At(const Place& place) const { return base + per_output_part * place.output_part; }
};

// What a layer's matrix becomes on the nodes: rows of the weights in blocks that take turns over
// the nodes of the batch axis.
struct LayerPlan {
  bool split = false;  // each part of the outputs has its own rows; else all have all rows
  int64_t slice = 0;   // outputs of a node
  int64_t block = 0;   // rows of a block
  int64_t tile = 0;    // rows that the array takes at once, whole blocks

  int64_t Blocks() const { return CeilDiv(slice, block); }
  int64_t RowsOf(int64_t b) const { return std::min(block, slice - b * block); }
};

// Groups of a convolution go through the array in bundles of neighbours, each a product of its own.
// A bundle of several groups has weights for all its channels and outputs, zero from one group to
// another; the last may have fewer groups.
struct Bundles {
  int64_t count = 1;
  int64_t groups = 1;                 // of a bundle
  int64_t channels = 0, outputs = 0;  // of a bundle
};

// Neighbouring bundles of which so many channels, or outputs, are worked on.
struct BundleRun {
  int64_t bundle = 0, bundles = 0;
  int64_t first = 0, count = 0;  // of the layer's channels or outputs; of each bundle
};

// The runs in [first, first + count), which lies in one bundle or begins with one; `of_bundle`
// channels or outputs make a bundle.
std::vector<BundleRun> BundleRuns(int64_t first, int64_t count, int64_t of_bundle);

// ", 4 bundles of 16 groups", for what is told of a mapping; nothing of a layer without groups.
std::string BundleText(const TrainingLayer& layer, const Bundles& bundles);

// One job of the array: rows of A against rows of B, bytes from the beginning of the buffers. The
// rows of A come in groups.
struct ComputeSpec {
  int a = 0, b = 0;  // buffers
  int64_t a_offset = 0, a_pitch = 0;
  int64_t b_offset = 0, b_pitch = 0;
  int64_t m = 0, n_tiles = 0, k_words = 0;  // rows of a group of A, columns of tiles, depth
  int64_t groups = 1, group_pitch = 0;
  // Of an operand that is halves of fx32, from the high ones to the low ones; else 0.
  int64_t a_low = 0, b_low = 0;

  int64_t Rows() const { return m * groups; }
  bool HasHalves() const { return a_low != 0 || b_low != 0; }
};

// One loop of a job: bytes from an iteration to the next in both operands, the results and the
// auxiliary operand.
struct Loop {
  int64_t count = 1;
  int64_t a = 0, b = 0;
  int64_t out = 0, aux = 0;
};

// The loops of a job, innermost first: over rows of A with one B tile, over the depth of a sum, and
// over sets of sums.
struct Nest {
  std::vector<Loop> rows, depth, sets;
  size_t columns = 0;  // which of the sets walks columns of results
};

// What becomes of the sums of a ComputeSpec.
struct VectorSpec {
  int out = 0;  // buffer
  Offset out_offset = 0;
  int64_t out_pitch = 0;
  int64_t out_bytes = 4;  // of a result
  int aux = -1;           // buffer
  int aux_part = -1;      // part of the batch whose node alone has it; -1: all
  isa::Aux aux_kind = isa::Aux::kNone;
  int64_t aux_offset = 0, aux_pitch = 0, aux_bytes = 4;
  bool relu = false;
  bool scale = false;  // by kScalarStep
  bool tail = false;   // zeros fill the last word of a row
};

// Rows that a SEND moves.
struct SendSpec {
  isa::SendKind kind = isa::SendKind::kTokens;
  Axis axis = Axis::kBatch;
  int owner = -1;  // part that gets the sum, or the only one that gets a token
  int buffer = -1;
  Offset offset = 0;
  int64_t rows = 0, row_bytes = 0, pitch = 0;
  int to_buffer = -1;  // of a reduction; a put goes to the same place
  int64_t to_pitch = 0;
  int post = -1;  // mesh semaphores
  struct {
    int semaphore = 0;
    int count = 0;
  } take[2];
};

// Part of a tile that one node of an axis brings: its loads, and what they fill.
struct Piece {
  int owner = 0;
  int64_t offset = 0, rows = 0, row_bytes = 0;
  std::vector<Step> loads;
};

// A lane program and the buffer that it lies in. Jobs are written for streams of operands; the wide
// ones, a bit each, lie in their buffers twice as far apart.
struct LoadedProgram {
  lanes::Program program;
  int buffer = -1;
  unsigned wide = 0;
};

// What LOAD makes of fp32: operands, or one half of fx32 numbers.
enum class Half { kNone = 0, kHigh = 1, kLow = 2 };

// Groups of a register that walk so many slots in whole steps: the most that divide them.
inline int64_t LaneGroupsOf(int64_t slots) {
  int64_t groups = std::min<int64_t>(isa::kLaneGroups, slots);
  while (slots % groups != 0) --groups;
  return groups;
}

// Sets `reg` to 1 in lanes from `lane` on, to 0 before; takes registers 2 and 3.
void AddLanesFrom(lanes::Section& init, int64_t lane, int reg);

// Of images that are arranged anew: the same part of the channels of pixels at equal distances.
struct UnitRun {
  int image = 0;  // of several
  int64_t pixel = 0, channel = 0;
  int64_t pixels = 1, step = 1;
  int64_t at = 0;  // units before it
};

// What follows a tile once its sums over the mesh have come. It runs with the next tile, so that
// the array does not wait for them.
struct Late {
  std::vector<Load> loads;
  std::vector<Step> waits;  // for the sums
  std::vector<Step> work;
  std::vector<Step> stores;
  bool update = false;  // of a parameter
};

// ---- gates.cpp

// Rows of a gate of a recurrent layer: its hidden values, and what makes them whole words.
int64_t GateWidth(const Variant& variant, const TrainingLayer& cell);

struct Gate {
  int64_t values = 0, width = 0;  // width: with what makes them whole words
};

// A graph with such rows in weights, biases and sums of all gates.
struct WholeGates {
  TrainingGraph graph;
  std::map<int, Gate> gates;  // of tensors that have got rows
};
WholeGates WithWholeGates(const TrainingGraph& graph, const Variant& variant);

class Mapper {
 public:
  Mapper(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
         const Recipe& recipe, const MapOptions& options, Partition partition)
      : v_(variant),
        recipe_(recipe),
        keep_gradients_(options.keep_gradients),
        search_(options.search),
        first_(options.tuning),
        partition_(partition),
        explanation_(options.explanation),
        grid_(MakeGrid(partition, variant.mesh.x, variant.mesh.y)),
        local_batch_(graph.batch / grid_.batch.parts),
        given_(graph),
        whole_(WithWholeGates(graph, variant)),
        graph_(whole_.graph),
        word_(variant.WordBits() / 8),
        operand_(variant.OperandBits() / 8),
        word_elements_(variant.WordElements()),
        vault_bytes_(dram.geometry.Bytes()),
        beat_(variant.dram.data_bits / 8) {}

  Program Map(const std::string& network);

 private:
  int64_t BytesOf(const ProgramTensor& t) const { return vaultrain::BytesOf(t.format); }
  bool Converts(const ProgramTensor& t) const {
    return t.format == ElementFormat::kFp32 && operand_ == 2;
  }
  // Gradients that are fp32 in memory, and two operands a value where the array takes them.
  bool HasHalves(const ProgramTensor& t) const {
    return v_.HasWideGradients() && t.role == TensorRole::kGradient && Converts(t);
  }
  int64_t HalvesOf(int tensor) const { return HasHalves(local_[tensor]) ? 2 : 1; }
  // The bytes of a value as the lanes have it, in operands.
  int64_t WidthOf(int tensor) const { return BytesOf(local_[tensor]) / operand_; }
  // Of the tensors that are the streams of a lane program a bit for each that is a wide gradient.
  unsigned WideStreams(const std::vector<int>& streams) const {
    unsigned wide = 0;
    for (size_t i = 0; i < streams.size(); ++i) {
      if (streams[i] >= 0 && HasHalves(local_[streams[i]])) wide |= 1u << i;
    }
    return wide;
  }
  // The number of a window's tap as an operand that is exact in every format.
  float IndexOf(int64_t tap) const {
    return std::ldexp(static_cast<float>(tap), -v_.fraction_bits);
  }
  int64_t KWords(int64_t k) const { return CeilDiv(k, word_elements_); }

  // ---- memory.cpp

  void PlaceTensors();
  int Allocate(std::string name, TensorRole role, ElementFormat format, int64_t rows, int64_t cols);
  void Expand();
  void Fill(const std::vector<std::vector<float>>& start);
  void PutOne(const ProgramTensor& of, uint8_t* at) const;
  void PutZeros(const ProgramTensor& local);

  // ---- mapper.cpp

  void PlanLayers();
  std::string PartitionText() const;
  std::vector<std::vector<isa::Descriptor>> MapOps(bool train);
  // Whether it fits; then the programs, if they are wanted, and the estimate, if schedules are
  // weighed. `overlaps`: tasks may change places.
  bool TryMapOps(bool train, double budget, bool overlaps, const Tuning& tuning,
                 std::vector<std::vector<isa::Descriptor>>* programs);
  // The best schedule that was found; the first has so many jobs.
  Tuning Search(double budget, const Tuning& first, size_t jobs);
  void AddOp(const TrainingOp& op, int tag, double budget);
  void AddGemm(const Gemm& gemm, double budget);
  // Labels and losses of cross-entropy are read and written as one row, or one for each turn.
  bool IsRow(const TrainingTensor& t) const {
    return graph_.loss_kind == Loss::kSoftmaxCrossEntropy &&
           (t.kind == TensorKind::kLabel || t.kind == TensorKind::kLoss);
  }

  // ---- losses.cpp

  int LoadOutputs(Task& task, int outputs, int64_t row, int64_t rows, int64_t pitch,
                  int64_t* offset, int tag);
  void AddCrossEntropy(const TrainingOp& op, int tag);
  void AddMeanSquare(const TrainingOp& op, int tag);

  // ---- windows.cpp, window_updates.cpp, patches.cpp, nests.cpp: convolutions

  bool IsWindowed(const TrainingOp& op) const;
  // Whether the host hands over the windows of the first layer instead of its image.
  bool UnfoldsInput() const;
  // The layer as it is mapped: of an unfolded input each window is a pixel.
  TrainingLayer Mapped(int layer) const;
  std::vector<int32_t> InputSource() const;
  Raster RasterFor(size_t graph_tensor) const;
  // Columns of the weights of a tap: whole words, and whole accesses of masters.
  int64_t TapWidth(const TrainingLayer& layer) const {
    return RoundUp(layer.from.channels, std::max(word_elements_, kAccess / 4));
  }
  void AddWindowForward(const TrainingOp& op, int tag, double budget);
  void AddWindowBackward(const TrainingOp& op, int tag, double budget);
  void AddWindowUpdate(const TrainingOp& op, int tag, double budget);
  // Rows of weights; of every tap `width` columns from `channel` on, or all if it is TapWidth.
  Load GatherWeights(int layer, int w, int64_t row, int64_t rows, int64_t channel, int64_t width,
                     int64_t pitch, int buffer, int tag) const;
  Load GatherTransposed(int layer, int w, int64_t channel, int64_t channels, int64_t ky,
                        int64_t tap_rows, int64_t pitch, int buffer, int tag) const;
  // COMPUTE and VECTOR of a nest, or several pairs of them where it has too many loops.
  void AddJobs(std::vector<Step>& work, const ComputeSpec& spec, const VectorSpec& results,
               Nest nest, int tag) const;
  void AddPoolForward(const TrainingOp& op, int tag, double budget);
  void AddPoolBackward(const TrainingOp& op, int tag, double budget);
  // Samples of a group that take a turn in images whose rows lie in buffers as they lie in memory:
  // each of these tensors at this pitch, of halves that of both together.
  int64_t SamplesOfTurn(const Raster& raster,
                        const std::vector<std::pair<int, int64_t>>& pitches) const;
  // Tiles of a turn are as large in pixels as those of all samples would be.
  int64_t TurnsOf(int tensor, int64_t samples) const {
    return raster_.at(tensor).samples / samples;
  }
  // LOAD or STORE of a turn's samples of pixels that follow each other.
  Step MoveTurn(Engine engine, int tensor, int64_t row, int64_t pixels, const Samples& of,
                int buffer, int64_t offset, int tag, Half half = Half::kNone) const;
  // With `low` the halves of gradients, the low ones so far behind the high ones.
  void AddPatchLoads(std::vector<Load>& loads, int tensor, const Patch& patch, int64_t col,
                     int64_t cols, int64_t pitch, int buffer, int tag, int64_t low = 0) const;
  void AddTurnedLoads(std::vector<Load>& loads, int tensor, const Patch& patch, int64_t col,
                      int64_t cols, int buffer, int tag, int64_t low = 0) const;
  void AddPatchStores(std::vector<Step>& stores, int tensor, const Patch& patch, int64_t col,
                      int64_t cols, int64_t pitch, int buffer, int tag);
  // Samples of a node that take a turn in layers without images, and in the loss: behind images
  // that take turns as many as there, so that one half goes back while the other still comes.
  int64_t SamplesOfFlatTurn() const;
  // Of these images' tensors the tile in which the one stored last lies, if it is that of whole
  // rows of no more than so many pixels: what takes it in the same tiles finds them in the
  // scratchpad.
  std::optional<Tile> TileAsStored(const std::vector<int>& tensors, int64_t most_pixels) const;
  // The largest tile of which two fit.
  static Tile FitTile(int64_t rows, int64_t pixels, int64_t room,
                      const std::function<int64_t(const Tile&)>& bytes);
  void AddWindowStep(int parameter, int64_t row, int64_t rows, int64_t col, int64_t cols, int sums,
                     int64_t sums_offset, int64_t sums_pitch, int owner, bool of_bias,
                     bool take_step, int tag);

  // ---- groups.cpp

  // As FF and BP take them: whole words of channels and of outputs.
  Bundles BundlesOf(const TrainingLayer& layer) const;
  // As UP takes them: whole tiles of channels.
  Bundles UpdateBundlesOf(const TrainingLayer& layer) const;
  // The weights that FF and BP take: those of bundles, where they have several groups.
  int WindowWeights(const TrainingOp& op) const;
  // How the rows of these lie on the nodes.
  LayerPlan WindowPlan(int layer) const;
  void PlaceBundles();
  int PlaceBundleMask(const TrainingLayer& layer, const Bundles& bundles);
  void AddBundles(const TrainingOp& op, int tag, double budget);
  int AddFolding(const TrainingLayer& layer, const Bundles& bundles, int sums, int64_t pitch,
                 int64_t channel, int64_t width, int64_t taps, int tag);

  // ---- concat.cpp

  struct Rows {
    int buffer = -1;
    int64_t pitch = 0;
  };
  void AddCopy(const TrainingOp& op, int tag, double budget);
  void AddShift(Task& task, int64_t shift, int64_t channels, bool up, const Rows& in,
                const Rows& out, int64_t rows, int tag, unsigned wide);

  // ---- arrange.cpp

  Step MoveUnits(Engine engine, int tensor, const UnitRun& run, const Samples& of, int64_t channels,
                 int buffer, int tag) const;
  void AddArrange(const TrainingOp& op, int tag, double budget);

  // ---- lane_jobs.cpp

  // The program in a buffer; what brings it there joins `loads`. Its operands of wide streams
  // become fp32.
  LoadedProgram LoadLanes(lanes::Program program, std::vector<Load>& loads, int tag,
                          unsigned wide = 0);
  // Bases of the job's streams count from the beginning of their buffers; `written` has a bit of
  // each stream that the program writes.
  Step Lanes(const LoadedProgram& loaded, const lanes::Job& job,
             const std::array<int, isa::kLaneStreams>& buffers, unsigned written, int tag) const;
  // The job for all samples of a raster's group, as many at a time as a register holds; of_sample:
  // bytes from a sample to the next in each stream.
  void AddSampleJobs(Task& task, const LoadedProgram& loaded, const lanes::Job& job,
                     int64_t samples, const std::array<int, isa::kLaneStreams>& buffers,
                     const std::array<int64_t, isa::kLaneStreams>& of_sample, unsigned written,
                     int tag) const;
  // Values of a group of samples at a pixel: loops over channels, pixels and rows of a band.
  lanes::Stream StreamOf(int64_t offset, int64_t pitch, int64_t step, int64_t row) const;
  // Rows of zeros in a buffer.
  void AddZeros(int buffer, int64_t offset, int64_t pitch, int64_t rows, int64_t bytes, int tag);
  // Zeros behind the channels of a tensor, in rows that lie in a buffer.
  void AddClearing(Task& task, int tensor, int buffer, int64_t rows, int64_t pitch, int tag);
  // Rows of fp32 in a buffer as halves of fx32 in another, the low ones behind the high ones;
  // `bytes` of operands.
  void AddSplitting(Task& task, const LoadedProgram& splitting, int from, int to, int64_t bytes,
                    int tag) const;
  // Rows of operands as fp32 in a buffer.
  void AddWidening(Task& task, int tensor, int64_t row, int64_t rows, int to, int64_t pitch,
                   int tag);

  // ---- elements.cpp

  // With a random layer its seeds are stream 1.
  void AddLaneRows(lanes::Program program, const std::vector<int>& streams, int result, int tag,
                   double budget, int random_layer = -1);
  int SeedsOf(int layer, int64_t jobs);
  void AddElementForward(const TrainingOp& op, int tag, double budget);
  void AddElementBackward(const TrainingOp& op, int tag, double budget);
  void AddSum(const TrainingOp& op, int tag, double budget);

  // ---- normalise.cpp

  // Channels that are normalised together, as the lanes have them.
  struct NormUnits {
    bool of_steps = false;  // each pixel has units of its own, else they go over all pixels
    int64_t count = 0;      // units of a sample, or of a pixel (1)
    int64_t slots = 0;      // of Cols channels, of a unit
    int width = 0;          // lanes that share a group
    int64_t values = 0;     // of a group

    // Of a tile: pixels that a unit goes over, and units.
    int64_t PixelsOfUnit(int64_t pixels) const { return of_steps ? 1 : pixels; }
    int64_t Units(int64_t pixels) const { return of_steps ? pixels : count; }
  };
  NormUnits UnitsOf(const TrainingLayer& layer) const;
  Tile NormTile(const TrainingLayer& layer, double budget, int64_t pixel,
                const std::vector<int>& inputs) const;
  static Patch StatisticsOf(const TrainingLayer& layer, const Patch& patch);
  void PlaceStatistics();
  Load GatherPerChannel(const std::vector<int>& parameters, int64_t channels, int buffer,
                        int64_t pitch, int tag) const;
  void AddNormaliseForward(const TrainingOp& op, int tag, double budget);
  void AddNormaliseBackward(const TrainingOp& op, int tag, double budget);

  // ---- softmax.cpp

  void AddSoftmaxForward(const TrainingOp& op, int tag, double budget);
  void AddSoftmaxBackward(const TrainingOp& op, int tag, double budget);

  // ---- products.cpp

  struct Factor;
  void AddProduct(const TrainingOp& op, int tag, double budget);
  // LOAD or STORE of every pixel's row of one sample, made for rows that follow each other.
  Step OfSample(Step step, int tensor, int64_t sample) const;
  void LoadFactor(Task& task, const Factor& factor, int64_t row, int64_t sample, int64_t first,
                  int64_t rows, int buffer, int64_t offset, int tag) const;

  // ---- batch_norm.cpp

  struct BatchNorm;
  BatchNorm BatchNormOf(const TrainingOp& op) const;
  void PlaceBatchNorms();
  Load GatherStatistics(int tensor, int64_t row, const BatchNorm& n, int buffer, int tag) const;
  lanes::Job ChannelJob(const BatchNorm& n) const;
  Step JoinSums(const BatchNorm& n, const LoadedProgram& program, int sums, int64_t samples,
                int totals, int tag) const;
  int AddSumOfNodes(Task& task, const BatchNorm& n, int totals, int tag);
  Step AtOwner(Step step) const;
  void AddRunningStatistics(Task& task, const TrainingOp& op, const BatchNorm& n, int buffer,
                            int tag);
  void AddBatchNormForward(const TrainingOp& op, int tag, double budget);
  void AddBatchNormBackward(const TrainingOp& op, int tag, double budget);

  // ---- recurrent.cpp

  // How the samples of a recurrent layer go through their steps, in FF as in BP: turns of a part of
  // a raster's group each.
  struct Turns {
    Raster raster;
    int64_t samples = 0;   // of a turn, which go through a step at once
    int64_t of_group = 0;  // turns
    int64_t groups = 0;    // that take turns

    // From a group on.
    int64_t Count(int64_t first_group) const {
      return std::min(groups, raster.groups - first_group) * of_group;
    }
    // The first of a turn's rows at a step.
    int64_t Row(int64_t first_group, int64_t turn, int64_t step) const {
      return raster.Row(first_group + turn / of_group, 0, step) + turn % of_group * samples;
    }
  };
  void PlaceCells();
  Turns TurnsOf(const Raster& raster, int64_t weights, int64_t of_sample, double budget) const;
  void AddRecurrentForward(const TrainingOp& op, int tag, double budget);
  void AddRecurrentBackward(const TrainingOp& op, int tag, double budget);

  // ---- optimiser.cpp

  bool HasOptimiserStep() const {
    return StateTensors(recipe_) > 0 || recipe_.weight_decay > 0 || recipe_.clip_value > 0;
  }
  void PlaceState();
  void AddOptimiserStep(int parameter, int64_t row, int64_t rows, int64_t col, int64_t cols,
                        int sums, int64_t sums_offset, int64_t sums_pitch, int owner, bool of_bias,
                        int tag);

  // ---- steps

  Step Compute(const ComputeSpec& spec, int tag) const;
  Step Vector(const ComputeSpec& of, const VectorSpec& spec, int tag) const;
  // out = in * scale + aux, or in where aux is positive; in is fp32, rows of `cols` values.
  Step Elements(int in, int64_t in_offset, int64_t in_pitch, int64_t rows, int64_t cols,
                const VectorSpec& spec, int tag) const;
  Step Send(const SendSpec& spec, int tag) const;

  // ---- partition.cpp: operations on all nodes

  void AddForward(const TrainingOp& op, int tag, double budget);
  void AddBackward(const TrainingOp& op, int tag, double budget);
  void AddUpdate(const TrainingOp& op, int tag, double budget);
  // What brings a tile, after which every node of the axis has the whole tile.
  Load Gather(Axis axis, int buffer, int64_t pitch, std::vector<Piece> pieces, int tag) const;
  Load GatherRows(int tensor, int64_t row, int64_t rows, int64_t pitch, int buffer, int tag) const;
  // Sums rows over an axis into a buffer of the owner.
  Step Reduce(Axis axis, int owner, int buffer, int64_t offset, int64_t pitch, int64_t rows,
              int64_t row_bytes, int sum, int tag) const;
  // Waits at the owner until the sum is there.
  Step Summed(Axis axis, int owner, int sum, int tag) const;
  static Step Only(Axis axis, int part, Step step);
  // A product with its results in a buffer, the sums over the mesh that begin with it, and what is
  // late from the tile before.
  void AddTile(std::vector<Load> loads, std::vector<Step> before, Step compute, Step vector,
               std::vector<Step> sends, std::vector<Step> stores);
  void FlushLate();
  // What is in after_next_ comes behind this one.
  void AddTask(Task task);
  void FlushAfterNext();
  // Sums a product over the batch axis into rows of a parameter at their owner: the step that it
  // takes (parameter + scale * sum), or the sum itself.
  void AddToParameter(int parameter, int64_t row, int64_t col, int64_t cols, int owner,
                      bool take_step, std::vector<Load> loads, const ComputeSpec& product, int tag);
  int64_t Scratchpad(double budget) const {
    return static_cast<int64_t>(budget * v_.scratchpad.kib * 1024);
  }

  Tiling ChooseTiling(const Gemm& gemm, double budget) const;

  // ---- explain.cpp

  void ExplainJobs(const ProgramStream& stream);
  void ExplainProduct(const Gemm& g, std::vector<TilingChoice> fit, int64_t too_large) const;

  int64_t Granularity(const ProgramTensor& t) const { return kAccess / BytesOf(t); }
  // A result that is still in the scratchpad as an operand of the array, or -1.
  int Kept(int tensor) const {
    const auto found = resident_.find(tensor);
    return found == resident_.end() || HalvesOf(tensor) > 1 ? -1 : found->second;
  }
  // Bytes from one row to the next of an operand tile.
  int64_t OperandPitch(const Operand2D& operand, int64_t k) const;
  // A tensor so small that all of it may stay in the scratchpad from the operation that makes it to
  // those that take it.
  bool IsSmall(const ProgramTensor& t) const {
    return t.rows * OutPitch(t, t.cols) <= v_.scratchpad.kib * 1024 / 16;
  }
  int64_t OutPitch(const ProgramTensor& t, int64_t cols) const {
    return RoundUp(cols * BytesOf(t), std::max<int64_t>(kAccess, word_));
  }
  // Bytes from a row to the next of lane jobs, as if all were operands.
  int64_t LanePitch(int64_t cols) const {
    return RoundUp(cols * operand_, std::max<int64_t>(kAccess, word_));
  }
  // Of gradients both halves, one tile behind the other.
  std::vector<Step> LoadOperand(const Operand2D& operand, int64_t row, int64_t rows,
                                int64_t padded_rows, int64_t k, int buffer, int tag) const;
  Step LoadPlain(int tensor, int64_t row, int64_t rows, Offset col, int64_t cols, int64_t pad_rows,
                 int64_t pitch, bool convert, int buffer, int tag, int64_t offset = 0,
                 Half half = Half::kNone) const;
  // Rows [row, row + rows) and `count` columns of memory from `col` on, transposed; pad_rows zeros
  // follow the rows. They go to `offset` bytes of the buffer and on, a column of memory every
  // `pitch` bytes.
  std::vector<Step> LoadTransposed(int tensor, int64_t row, int64_t rows, Offset col, int64_t count,
                                   int64_t pad_rows, int64_t pitch, int buffer, int64_t offset,
                                   int tag, Half half = Half::kNone) const;
  Rect RectOf(int tensor, int64_t row, int64_t rows, Offset col, int64_t cols) const;
  Step StorePlain(int tensor, int64_t row, int64_t rows, int64_t col, int64_t cols, int64_t pitch,
                  int buffer, int tag, int64_t offset = 0) const;
  void CountBytes(const isa::Descriptor& d);

  const Variant& v_;
  const Recipe& recipe_;
  const bool keep_gradients_;
  const int search_;    // schedules that are weighed
  const Tuning first_;  // of the first of them
  const Partition partition_;
  Explanation* const explanation_;
  const Grid grid_;
  const int64_t local_batch_;   // samples of a node
  const TrainingGraph& given_;  // as the user has it
  const WholeGates whole_;
  const TrainingGraph& graph_;   // as nodes have it
  const int64_t word_;           // bytes of a scratchpad word
  const int64_t operand_;        // bytes of an operand
  const int64_t word_elements_;  // operands of a word
  const uint64_t vault_bytes_;
  const int64_t beat_;
  Scheduler* s_ = nullptr;  // of the stream at hand
  bool trains_ = false;     // the stream at hand is a step of training
  bool explains_ = false;   // of the stream at hand what is decided is written down
  bool overlaps_ = true;    // tasks change places where there is room for it
  bool updates_ = false;    // tasks at hand update a parameter
  int op_ = 0;              // tasks at hand are of this one
  int sum_ = 0;             // the next task adds to it
  int sums_begun_ = 0;
  Tuning tuning_;
  bool of_slowest_ = false;  // estimates are of the slowest node
  Estimate estimate_;        // of the schedule made last
  Late late_;
  // Adds tasks that wait for the task before; they come behind the next one, which does not. It
  // may end with something late, so products with late sums of their own come after it.
  std::function<void()> after_next_;
  std::vector<LayerPlan> plan_;
  // Tensors as a node has them, at the same address in every vault.
  std::vector<ProgramTensor> local_;
  std::map<int, Raster> raster_;  // of local tensors whose rows are pixels
  Program program_;
  std::vector<int> tensor_of_;      // TrainingGraph tensor -> local_
  std::vector<int> layer_of_;       // TrainingGraph tensor -> layer that it belongs to, or -1
  std::map<int, int> gradient_of_;  // parameter -> its stored gradient
  std::map<int, std::vector<int>> state_of_;  // parameter -> what the optimiser keeps
  std::map<int, int> statistics_of_;          // normalisation (layer) -> what FF found
  std::map<int, int> cells_of_;               // recurrent layer -> what BP needs of its cells
  std::map<int, int> bundles_of_;             // layer of groups -> weights of its bundles
  std::map<std::array<int64_t, 3>, int> bundle_masks_;  // channels, of a group, groups of a bundle
  int ones_ = -1;
  std::vector<std::string> data_flow_;  // per tag, filled while tiling
  struct StoredTile {
    Tile tile;
    size_t order = 0;  // of storing
  };
  std::map<int, StoredTile> stored_in_;  // images, of all channels at once
  // Small results that a later operation takes from the scratchpad, in the layout of a plain load:
  // tensor -> buffer.
  std::map<int, int> resident_;
  std::map<std::vector<uint32_t>, int> lane_programs_;  // words -> tensor
  std::map<std::pair<int, int64_t>, int> seeds_;        // dropout (layer) and jobs -> tensor
};

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_MAPPER_MAPPING_H_
