// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Networks, recipes, variants and partitions drawn at random: two steps of training in fp32 on the
// golden engine beside double precision, and of small ones in bf16 in RTL beside golden, bit for
// bit; every tensor of them. What the mapper refuses is counted.
//
// VT_NETWORKS=FIRST:COUNT build/verif/random_networks_test trains those of these numbers.

#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "mapped_network.h"
#include "onnx_builder.h"
#include "vaultrain/error.h"
#include "vaultrain/graph.h"

namespace vaultrain {
namespace {

// An activation [N,channels,height,width], [N,channels,width], [N,width,channels] or [N,channels].
struct Value {
  enum Kind { kImage, kLine, kSteps, kVector };

  std::string name;
  Kind kind = kImage;
  int64_t channels = 0, height = 1, width = 1;

  int64_t features() const { return channels * height * width; }
};

class Drawing {
 public:
  explicit Drawing(int number)
      : random_(1, fmt::format("network/{}", number)),
        moves_(1, fmt::format("network/{}/moves", number)) {}

  Graph Network(int64_t classes) {
    Value v = Input();
    const int64_t layers = Between(1, 5);
    for (int64_t i = 0; i < layers; ++i) v = Moved(Next(v));
    v = Flat(v);
    while (OneIn(3)) v = Activated(Product(v, Between(1, 80)));
    if (OneIn(12)) classes *= 32;
    v = Product(v, classes);
    b_.Output(v.name, {0, classes});
    return ParseOnnx(b_.Bytes(), "net");
  }

  int64_t Between(int64_t least, int64_t most) {
    Random& random = is_moved_ ? moves_ : random_;
    return least + static_cast<int64_t>(random.Below(static_cast<uint32_t>(most - least + 1)));
  }
  bool OneIn(int64_t n) { return Between(1, n) == 1; }
  template <typename T>
  T OneOf(const std::vector<T>& all) {
    return all[static_cast<size_t>(Between(0, static_cast<int64_t>(all.size()) - 1))];
  }
  const std::string& text() const { return text_; }

 private:
  // Values that are normalised together: the deviation of fewer may be as small as rounding errors.
  static constexpr int64_t kLeast = 6;

  std::string Name(const std::string& op) { return fmt::format("{}{}", op, ++count_); }

  // A node from values to one of another form.
  Value Node(const std::string& op, const std::vector<std::string>& inputs, Value to) {
    to.name = Name(op);
    b_.Node(op, to.name, inputs, to.name);
    std::string from;
    for (const std::string& input : inputs) from += " " + input;
    text_ += fmt::format("{}({} ) [{}][{}][{}]\n", to.name, from, to.channels, to.height, to.width);
    return to;
  }
  std::string Parameter(const std::vector<int64_t>& shape) {
    const std::string name = Name("parameter");
    const bool in_file = shape.size() > 1 && OneIn(4);
    in_file ? b_.Drawn(name, shape, random_) : b_.Input(name, shape);
    return name;
  }

  Value Input() {
    Value v;
    v.kind = OneOf<Value::Kind>(
        {Value::kImage, Value::kImage, Value::kImage, Value::kLine, Value::kSteps, Value::kVector});
    v.name = "x";
    v.channels = Between(1, v.kind == Value::kVector ? 90 : 20);
    if (v.kind == Value::kImage) v.height = Between(1, 12);
    if (v.kind != Value::kVector) v.width = Between(v.kind == Value::kSteps ? 1 : 2, 9);
    std::vector<int64_t> shape = {0, v.channels, v.height, v.width};
    if (v.kind == Value::kLine) shape = {0, v.channels, v.width};
    if (v.kind == Value::kSteps) shape = {0, v.width, v.channels};
    if (v.kind == Value::kVector) shape = {0, v.channels};
    b_.Input(v.name, shape);
    text_ += fmt::format("x [{}][{}][{}]\n", v.channels, v.height, v.width);
    return v;
  }

  Value Next(const Value& v) {
    switch (v.kind) {
      case Value::kImage:
      case Value::kLine:
        return OfImage(v);
      case Value::kSteps:
        // Powers of powers grow what rounding does.
        if (!std::exchange(attends_, attends_ || OneIn(3)) && attends_) return Attended(v);
        return OneIn(3) ? Activated(OfSteps(v)) : Recurrent(v);
      case Value::kVector:
        break;
    }
    return Activated(Product(v, Between(2, 80)));
  }

  Value OfImage(const Value& v) {
    const Value made = Convolved(v);
    switch (Between(1, 9)) {
      case 1:
        return Pooled(made);
      case 2:
        return Normalised(made);
      case 3: {
        const Value other = SameAs(v, made);
        return Activated(
            Node(OneOf<std::string>({"Add", "Sub", "Mul"}), {made.name, other.name}, made));
      }
      case 4: {
        // By 0.27 to 0.73, so that rounding errors do not grow.
        const Value bounded = Node("Tanh", {SameAs(v, made).name}, made);
        return Node("Div", {made.name, Node("Sigmoid", {bounded.name}, made).name}, made);
      }
      case 5: {
        Value both = made;
        const Value other = SameAs(v, made, Between(1, 40));
        both.channels += other.channels;
        both = Node("Concat", {made.name, other.name}, both);
        b_.With("axis", 1);
        return both;
      }
      case 6: {
        Value part = made;
        const int64_t from = Between(0, made.channels - 1);
        part.channels = Between(1, made.channels - from);
        const std::string name = Name("part");
        b_.Ints(name + ".from", {from}).Ints(name + ".to", {from + part.channels});
        b_.Ints(name + ".axes", {1});
        return Node("Slice", {made.name, name + ".from", name + ".to", name + ".axes"}, part);
      }
      case 7:
        return Node("Add", {Activated(made).name, made.name}, made);
      default:
        return Activated(made);
    }
  }

  // Some images and lines are arranged anew.
  Value Moved(const Value& v) {
    if (v.kind != Value::kImage && v.kind != Value::kLine) return v;
    is_moved_ = true;
    Value to = v;
    if (OneIn(4)) to = Arranged(to);
    if (to.kind == Value::kImage && OneIn(10)) to = NormalisedFromAxis(to);
    is_moved_ = false;
    return to;
  }

  // The same values, or some of them, at other places.
  Value Arranged(const Value& v) {
    const bool is_line = v.kind == Value::kLine;
    Value to = v;
    const std::string list = Name("list");
    switch (Between(1, 4)) {
      case 1: {  // any order of the dimensions
        if (is_line) {
          std::swap(to.channels, to.width);
          to = Node("Transpose", {v.name}, to);
          b_.WithInts("perm", {0, 2, 1});
          return to;
        }
        std::vector<int64_t> perm = {1, 2, 3};
        for (size_t i = 2; i > 0; --i) {
          std::swap(perm[i], perm[static_cast<size_t>(Between(0, static_cast<int64_t>(i)))]);
        }
        const int64_t sizes[4] = {0, v.channels, v.height, v.width};
        to.channels = sizes[perm[0]];
        to.height = sizes[perm[1]];
        to.width = sizes[perm[2]];
        perm.insert(perm.begin(), 0);
        to = Node("Transpose", {v.name}, to);
        b_.WithInts("perm", perm);
        return to;
      }
      case 2: {  // every n-th column, from either end
        const int64_t step = Between(1, 3) * (OneIn(2) ? 1 : -1);
        to.width = (v.width - 1) / std::abs(step) + 1;
        b_.Ints(list, {step > 0 ? 0 : -1}).Ints(list + ".to", {step > 0 ? 999 : -999});
        b_.Ints(list + ".axes", {-1}).Ints(list + ".steps", {step});
        return Node("Slice", {v.name, list, list + ".to", list + ".axes", list + ".steps"}, to);
      }
      case 3: {  // channels, some of them several times
        std::vector<int64_t> places;
        for (int64_t i = Between(1, 30); i > 0; --i) places.push_back(Between(0, v.channels - 1));
        to.channels = static_cast<int64_t>(places.size());
        b_.Ints(list, places);
        to = Node("Gather", {v.name, list}, to);
        b_.With("axis", 1);
        return to;
      }
      default: {  // columns side by side
        to.width = 2 * v.width;
        to = Node("Concat", {v.name, Activated(v).name}, to);
        b_.With("axis", is_line ? 2 : 3);
        return to;
      }
    }
  }

  // Of few values the deviation may be as small as rounding errors.
  Value NormalisedFromAxis(const Value& v) {
    const int64_t axis = Between(1, 3);
    const std::vector<int64_t> sizes = {v.channels, v.height, v.width};
    const std::vector<int64_t> shape(sizes.begin() + axis - 1, sizes.end());
    if (std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()) < 6) return v;
    const Value y = Node("LayerNormalization", {v.name, Parameter(shape), Parameter(shape)}, v);
    b_.With("axis", axis);
    return y;
  }

  // What a convolution of v makes that has the form of another one.
  Value SameAs(const Value& v, const Value& form, int64_t channels = 0) {
    Value to = form;
    if (channels > 0) to.channels = channels;
    std::vector<int64_t> shape = {to.channels, v.channels, last_.kernel[0], last_.kernel[1]};
    if (v.kind == Value::kLine) shape.erase(shape.begin() + 2);
    to = Node("Conv", {v.name, Parameter(shape)}, to);
    SetWindow(v.kind == Value::kLine);
    return to;
  }

  Value Convolved(const Value& v) {
    Value to = v;
    const int64_t groups = OneIn(4) ? OneOf(Divisors(v.channels)) : 1;
    to.channels = Between(1, std::max<int64_t>(1, 40 / groups)) * groups;
    const bool is_line = v.kind == Value::kLine;
    last_ = {};
    const int64_t sizes[2] = {v.height, v.width};
    int64_t outputs[2] = {1, 1};
    for (int axis = is_line ? 1 : 0; axis < 2; ++axis) {
      int64_t& kernel = last_.kernel[axis];
      kernel = Between(1, std::min<int64_t>(5, sizes[axis]));
      last_.dilation[axis] = OneIn(4) && (kernel - 1) * 2 < sizes[axis] ? 2 : 1;
      last_.stride[axis] = OneIn(2) ? 1 : Between(1, 3);
      last_.pad[2 * axis] = Between(0, kernel / 2);
      last_.pad[2 * axis + 1] = Between(0, kernel / 2);
      const int64_t reach = (kernel - 1) * last_.dilation[axis] + 1;
      const int64_t padded = sizes[axis] + last_.pad[2 * axis] + last_.pad[2 * axis + 1];
      outputs[axis] = (padded - reach) / last_.stride[axis] + 1;
    }
    to.height = outputs[0];
    to.width = outputs[1];
    std::vector<int64_t> shape = {to.channels, v.channels / groups, last_.kernel[0],
                                  last_.kernel[1]};
    if (is_line) shape.erase(shape.begin() + 2);
    std::vector<std::string> inputs = {v.name, Parameter(shape)};
    if (OneIn(2)) inputs.push_back(Parameter({to.channels}));
    to = Node("Conv", inputs, to);
    SetWindow(is_line);
    if (groups > 1) b_.With("group", groups);
    return to;
  }

  // Of the node added last.
  void SetWindow(bool is_line) {
    auto axes = [&](const int64_t* values, size_t count) {
      const size_t first = is_line ? count / 2 : 0;
      return std::vector<int64_t>(values + first, values + count);
    };
    const std::vector<int64_t> kernel = axes(last_.kernel, 2);
    b_.WithInts("kernel_shape", kernel).WithInts("strides", axes(last_.stride, 2));
    b_.WithInts("dilations", axes(last_.dilation, 2));
    std::vector<int64_t> pads;
    for (int end = 0; end < 2; ++end) {
      for (int axis = is_line ? 1 : 0; axis < 2; ++axis) pads.push_back(last_.pad[2 * axis + end]);
    }
    b_.WithInts("pads", pads);
    text_ += fmt::format("  kernel {}x{} stride {}x{} dilation {}x{} pads {},{},{},{}\n",
                         last_.kernel[0], last_.kernel[1], last_.stride[0], last_.stride[1],
                         last_.dilation[0], last_.dilation[1], last_.pad[0], last_.pad[1],
                         last_.pad[2], last_.pad[3]);
  }

  Value Pooled(const Value& v) {
    if (OneIn(4)) {
      Value to = v;
      to.height = to.width = 1;
      return Node("GlobalAveragePool", {v.name}, to);
    }
    const std::string op = OneOf<std::string>({"MaxPool", "AveragePool"});
    const bool is_line = v.kind == Value::kLine;
    Value to = v;
    last_ = {};
    const int64_t sizes[2] = {v.height, v.width};
    int64_t* outputs[2] = {&to.height, &to.width};
    std::vector<int64_t> kernel, strides, pads[2];
    for (int axis = is_line ? 1 : 0; axis < 2; ++axis) {
      kernel.push_back(Between(1, std::min<int64_t>(4, sizes[axis])));
      strides.push_back(Between(1, 3));
      for (std::vector<int64_t>& end : pads) end.push_back(Between(0, kernel.back() / 2));
      *outputs[axis] =
          (sizes[axis] + pads[0].back() + pads[1].back() - kernel.back()) / strides.back() + 1;
    }
    to = Node(op, {v.name}, to);
    pads[0].insert(pads[0].end(), pads[1].begin(), pads[1].end());
    b_.WithInts("kernel_shape", kernel).WithInts("strides", strides).WithInts("pads", pads[0]);
    if (op == "AveragePool" && OneIn(2)) b_.With("count_include_pad", 1);
    return to;
  }

  Value Normalised(const Value& v) {
    if (v.features() < kLeast) return v;
    const std::string scale = Parameter({v.channels}), bias = Parameter({v.channels});
    if (v.kind == Value::kImage && OneIn(3)) {
      const Value y =
          Node("BatchNormalization",
               {v.name, scale, bias, Parameter({v.channels}), Parameter({v.channels})}, v);
      b_.With("training_mode", 1);
      return y;
    }
    const Value y = Node("GroupNormalization", {v.name, scale, bias}, v);
    std::vector<int64_t> groups;
    for (const int64_t g : Divisors(v.channels)) {
      if (v.features() / g >= kLeast) groups.push_back(g);
    }
    b_.With("num_groups", OneOf(groups));
    return y;
  }

  Value Activated(const Value& v) {
    if (v.kind != Value::kVector && OneIn(8)) {
      if (!has_ratio_) b_.Scalar("ratio", 0.25F).BoolScalar("on", true);
      has_ratio_ = true;
      return Node("Dropout", {v.name, "ratio", "on"}, v);
    }
    if (OneIn(3)) return v;
    return Node(OneOf<std::string>({"Relu", "Relu", "LeakyRelu", "Sigmoid", "Tanh"}), {v.name}, v);
  }

  Value OfSteps(const Value& v) {
    const Value y = Dense(v, Between(1, 50));
    const Value& to = y;
    if (OneIn(2) || to.channels < kLeast) return y;
    const Value n = Node("LayerNormalization",
                         {y.name, Parameter({to.channels}), Parameter({to.channels})}, to);
    b_.With("axis", 2);
    return n;
  }

  // Products of activations, of which either may be turned, and perhaps a softmax between them.
  Value Attended(const Value& v) {
    // Of all steps, or of all channels, one by another; these become steps.
    const bool of_steps = OneIn(2);
    const int64_t depth = Between(1, of_steps ? 40 : 9);
    const Value q = Dense(v, depth), k = Dense(v, depth);
    Value scores = v;
    if (of_steps) {
      scores.channels = v.width;
      scores = Node("MatMul", {q.name, Turned(k).name}, scores);
    } else {
      scores.width = scores.channels = depth;
      scores = Node("MatMul", {Turned(q).name, k.name}, scores);
    }
    const std::string size = Name("size");
    b_.Scalar(size, static_cast<float>(of_steps ? depth : v.width));
    scores = Node("Div", {scores.name, size}, scores);
    if (OneIn(2)) {
      scores = Node("Softmax", {scores.name}, scores);
      b_.With("axis", OneIn(2) ? 2 : -1);
    }
    const Value values = of_steps ? Dense(v, Between(1, 40)) : Turned(q);
    Value to = scores;
    to.channels = values.channels;
    return Node("MatMul", {scores.name, values.name}, to);
  }

  // A product of every step by a parameter.
  Value Dense(const Value& v, int64_t outputs) {
    Value to = v;
    to.channels = outputs;
    return Node("MatMul", {v.name, Parameter({v.channels, outputs})}, to);
  }
  Value Turned(const Value& v) {
    Value to = v;
    std::swap(to.channels, to.width);
    to = Node("Transpose", {v.name}, to);
    b_.WithInts("perm", {0, 2, 1});
    return to;
  }

  Value Recurrent(const Value& v) {
    const std::string op = OneOf<std::string>({"LSTM", "GRU", "RNN"});
    const int64_t gates = op == "LSTM" ? 4 : op == "GRU" ? 3 : 1;
    Value to = v;
    to.channels = Between(1, 40);
    std::vector<std::string> inputs = {v.name, Parameter({1, gates * to.channels, v.channels}),
                                       Parameter({1, gates * to.channels, to.channels})};
    if (OneIn(2)) inputs.push_back(Parameter({1, 2 * gates * to.channels}));
    to = Node(op, inputs, to);
    b_.With("hidden_size", to.channels).With("layout", 1);
    if (op == "GRU" && OneIn(2)) b_.With("linear_before_reset", 1);
    const std::string shape = Name("shape");
    b_.Ints(shape, {0, v.width, to.channels});
    return Node("Reshape", {to.name, shape}, to);
  }

  Value Flat(const Value& v) {
    Value to;
    to.kind = Value::kVector;
    to.channels = v.features();
    return Node("Flatten", {v.name}, to);
  }

  Value Product(const Value& v, int64_t outputs) {
    Value to = v;
    to.channels = outputs;
    std::vector<std::string> inputs = {v.name, Parameter({v.channels, outputs})};
    if (OneIn(2)) inputs.push_back(Parameter({outputs}));
    return Node("Gemm", inputs, to);
  }

  static std::vector<int64_t> Divisors(int64_t n) {
    std::vector<int64_t> all;
    for (int64_t d = 1; d <= n; ++d) {
      if (n % d == 0) all.push_back(d);
    }
    return all;
  }

  Random random_;
  Random moves_;  // of its own, so that the layers are those without it
  bool is_moved_ = false;
  OnnxBuilder b_{21};
  int count_ = 0;
  bool has_ratio_ = false;
  bool attends_ = false;
  struct {
    int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1}, pad[4] = {0, 0, 0, 0};
  } last_;
  std::string text_;
};

// The numbers of the networks: so many, or those that VT_NETWORKS names.
struct Numbers {
  int first = 0, count = 0;
};
Numbers NumbersOr(int everyday, int full) {
  Numbers numbers{0, std::getenv("VAULTRAIN_FULL") != nullptr ? full : everyday};
  if (const char* text = std::getenv("VT_NETWORKS")) {
    std::sscanf(text, "%d:%d", &numbers.first, &numbers.count);
  }
  return numbers;
}

// Small ones on nano, in bf16.
TEST(RandomNetworks, InRtlBitForBitAsGolden) {
  setenv("XDG_CACHE_HOME", VT_CACHE, 1);
  constexpr uint64_t kMacs = 20'000;
  const auto [first, count] = NumbersOr(12, 400);
  std::unique_ptr<Device> rtl, golden;
  int trained = 0;
  for (int number = first; number < first + count; ++number) {
    Drawing d(number);
    Recipe recipe = DefaultRecipe();
    recipe.optimiser = d.OneOf<std::string>({"sgd", "sgd", "momentum", "nesterov", "adam"});
    const auto batch = static_cast<int>(d.Between(1, 3));
    Mapped mapped;
    try {
      mapped = MapGraph(d.Network(d.Between(2, 12)), batch, {}, {}, recipe);
    } catch (const Error& error) {
      ASSERT_EQ(error.status(), ExitStatus::kUnusableInput) << number << ": " << error.what();
      continue;
    }
    if (mapped.program.macs_needed > kMacs) continue;
    SCOPED_TRACE(fmt::format("network {}, batch {}\n{}", number, batch, d.text()));
    if (rtl == nullptr) {
      rtl = MakeRtlDevice(mapped.variant, mapped.dram, Resources(), {});
      golden = MakeGoldenDevice(mapped.variant, mapped.dram);
    }
    Random random(7, "rtl");
    rtl->Load(mapped.program.image);
    golden->Load(mapped.program.image);
    for (int step = 0; step < 2; ++step) {
      const StepData data = DrawStep(mapped, step, random);
      const float step_size = StepSize(mapped.recipe, step, 2);
      TrainStep(mapped, data, step, step_size, *golden);
      TrainStep(mapped, data, step, step_size, *rtl);
      ASSERT_FALSE(testing::Test::HasFatalFailure());
      const std::optional<Mismatch> mismatch = CompareTensors(mapped.program, *rtl, *golden);
      ASSERT_FALSE(mismatch) << mismatch->tensor << "[" << mismatch->index << "], step " << step;
    }
    ++trained;
  }
  std::cout << trained << " of " << count << " trained alike, the others refused or large\n";
  EXPECT_GE(trained, count / 6);
}

TEST(RandomNetworks, TrainLikeTheReference) {
  const auto [first, count] = NumbersOr(60, 2000);
  int trained = 0;
  std::map<std::string, int> refused;
  for (int number = first; number < first + count; ++number) {
    Drawing d(number);
    Recipe recipe = DefaultRecipe();
    recipe.optimiser = d.OneOf<std::string>({"sgd", "sgd", "momentum", "nesterov", "adam"});
    if (recipe.optimiser != "sgd") recipe.learning_rate = 0.01;
    recipe.epsilon = 1e-3;  // so that adam does not make steps of rounding errors
    if (d.OneIn(4)) recipe.weight_decay = 0.01;
    if (d.OneIn(4)) recipe.loss = "mse";
    const int nodes_x = d.OneIn(2) ? 1 : 2, nodes_y = nodes_x == 2 && d.OneIn(2) ? 2 : 1;
    std::vector<std::string> overrides = {
        "operand_format=fp32", fmt::format("array.lanes={}", d.OneOf<int>({8, 16})),
        fmt::format("array.cols={}", d.OneOf<int>({2, 4, 8})),
        fmt::format("scratchpad.kib={}", d.OneOf<int>({64, 128, 256, 1024}))};
    if (nodes_x > 1) overrides = Mesh(nodes_x, nodes_y, overrides);
    MapOptions options;
    if (nodes_x > 1 && d.OneIn(2)) {
      options.partition =
          d.OneOf<Partition>({Partition::kBatch, Partition::kOutputs, Partition::kHybrid});
    }
    const auto batch = static_cast<int>(d.Between(1, 12)) * nodes_x * nodes_y;
    try {
      const Graph net = d.Network(d.Between(2, 12));
      Mapped mapped = MapGraph(net, batch, overrides, options, recipe);
      mapped.recipe.learning_rate = 0.01;  // large steps part trainings that differ by rounding
      SCOPED_TRACE(fmt::format("network {}, batch {}, {}, {}, {}\n{}", number, batch,
                               recipe.optimiser, fmt::join(overrides, " "),
                               mapped.program.partition, d.text()));
      // Gradients that vanish but for rounding make steps of adam.
      const bool adam = recipe.optimiser == "adam";
      ExpectTrainsLikeReference(mapped, 2, adam ? 3e-3 : 3e-4, adam ? 1e-4 : 1e-5);
      ++trained;
    } catch (const Error& error) {
      std::string why = error.what();
      EXPECT_EQ(error.status(), ExitStatus::kUnusableInput)
          << number << ": " << why << "\n"
          << fmt::format("batch {} {} {}\n", batch, recipe.optimiser, fmt::join(overrides, " "))
          << d.text();
      for (char& c : why) c = c >= '0' && c <= '9' ? '#' : c;
      ++refused[why];
    } catch (const std::exception& error) {
      ADD_FAILURE() << "network " << number << ": " << error.what() << "\n" << d.text();
    }
  }
  for (const auto& [why, times] : refused) std::cout << times << " refused: " << why << "\n";
  std::cout << trained << " of " << count << " trained\n";
  EXPECT_GE(trained, count * 4 / 5);
}

}  // namespace
}  // namespace vaultrain
