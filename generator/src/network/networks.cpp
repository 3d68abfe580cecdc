// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/networks.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cctype>
#include <functional>
#include <numeric>
#include <set>

#include "network/onnx_proto.h"
#include "vaultrain/error.h"
#include "vaultrain/graph.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// The newest that comes with the IR version written here, and that Debian's ONNX checks.
constexpr int kWrittenOpset = 17;

// ONNX of a network, layer by layer, each behind the last. Parameters "LAYER.W" and "LAYER.b" are
// graph inputs without initialisers.
class NetworkWriter {
 public:
  // shape: of a sample.
  NetworkWriter(const std::string& name, std::vector<int> shape) : shape_(std::move(shape)) {
    model_.set_ir_version(8);
    model_.set_producer_name("vaultrain");
    onnx::OperatorSetIdProto* opset = model_.add_opset_import();
    opset->set_domain("");
    opset->set_version(kWrittenOpset);
    graph_ = model_.mutable_graph();
    graph_->set_name(name);
    DeclareSamples(graph_->add_input(), from_);
  }

  // [out][in], transB = 1; what follows is y, or the graph's output if it is the last.
  NetworkWriter& Gemm(const std::string& layer, int out, bool last = false) {
    Declare(graph_->add_input(), layer + ".W", {out, shape_[0]});
    AddLayer("Gemm", layer, out, last ? "logits" : layer + ".z");
    SetInt("transB", 1);
    shape_ = {out};
    return *this;
  }

  // A square window; [out][in of a group][kernel][kernel].
  NetworkWriter& Conv(const std::string& layer, int out, int kernel, int stride, int pad,
                      int groups = 1) {
    Declare(graph_->add_input(), layer + ".W", {out, shape_[0] / groups, kernel, kernel});
    AddLayer("Conv", layer, out, layer + ".z");
    if (groups > 1) SetInt("group", groups);
    SetWindow(kernel, stride, pad);
    shape_[0] = out;
    return *this;
  }

  NetworkWriter& MaxPool(const std::string& name, int kernel) {
    AddNode("MaxPool", name, {from_}, name + ".y");
    SetWindow(kernel, kernel, 0);
    return *this;
  }

  NetworkWriter& Relu(const std::string& name, const std::string& output) {
    AddNode("Relu", name, {from_}, output);
    return *this;
  }

  // Some output; behind it a branch may begin, or end in a sum.
  struct Point {
    std::string tensor;
    std::vector<int> shape;
  };
  Point Here() const { return {from_, shape_}; }
  NetworkWriter& Goto(const Point& point) {
    from_ = point.tensor;
    shape_ = point.shape;
    return *this;
  }

  // Add, Sub, Mul or Div.
  NetworkWriter& Join(const std::string& op, const std::string& name, const Point& other) {
    AddNode(op, name, {from_, other.tensor}, name + ".z");
    return *this;
  }

  // Tanh, Sigmoid, ..
  NetworkWriter& Apply(const std::string& op, const std::string& name) {
    AddNode(op, name, {from_}, name + ".y");
    return *this;
  }

  // In training, of values with so much chance.
  NetworkWriter& Dropout(const std::string& name, float ratio) {
    onnx::TensorProto* of = graph_->add_initializer();
    of->set_name(name + ".ratio");
    of->set_data_type(onnx::TensorProto::FLOAT);
    of->add_float_data(ratio);
    onnx::TensorProto* mode = graph_->add_initializer();
    mode->set_name(name + ".training");
    mode->set_data_type(onnx::TensorProto::BOOL);
    mode->add_int32_data(1);
    AddNode("Dropout", name, {from_, name + ".ratio", name + ".training"}, name + ".y");
    return *this;
  }

  // Equal parts of the channels.
  std::vector<Point> Split(const std::string& name, int parts) {
    AddNode("Split", name, {from_}, name + ".1");
    SetInt("axis", 1);
    shape_[0] /= parts;
    std::vector<Point> made = {Here()};
    for (int i = 2; i <= parts; ++i) {
      node_->add_output(name + "." + std::to_string(i));
      made.push_back({node_->output(i - 1), shape_});
    }
    AddInts(name + ".sizes", std::vector<int64_t>(parts, shape_[0]));
    node_->add_input(name + ".sizes");
    return made;
  }

  // As PyTorch writes it for opsets without GroupNormalization: each group as a channel of its own,
  // then scale and bias "NAME.W", "NAME.b" of each channel.
  NetworkWriter& GroupNorm(const std::string& name, int groups) {
    const std::vector<int64_t> image = {0, shape_[0], shape_[1], shape_[2]};
    AddReshape(name + ".in", {0, groups, -1});
    AddConstants(name + ".one", groups, 1);
    AddConstants(name + ".zero", groups, 0);
    AddNode("InstanceNormalization", name, {from_, name + ".one", name + ".zero"}, name + ".n");
    AddReshape(name + ".out", image);
    for (const char* parameter : {".W", ".b"}) {
      Declare(graph_->add_input(), name + parameter, {shape_[0], 1, 1});
    }
    AddNode("Mul", name + ".scale", {from_, name + ".W"}, name + ".s");
    AddNode("Add", name + ".bias", {from_, name + ".b"}, name + ".z");
    return *this;
  }

  // In the mode that trains; "NAME.W", "NAME.b", "NAME.mean" and "NAME.variance" of each channel.
  NetworkWriter& BatchNorm(const std::string& name) {
    std::vector<std::string> inputs = {from_};
    for (const char* parameter : {".W", ".b", ".mean", ".variance"}) {
      inputs.push_back(name + parameter);
      Declare(graph_->add_input(), inputs.back(), {shape_[0]});
    }
    AddNode("BatchNormalization", name, inputs, name + ".z");
    SetInt("training_mode", 1);
    return *this;
  }

  NetworkWriter& GlobalAveragePool() {
    AddNode("GlobalAveragePool", "mean", {from_}, "mean.y");
    for (size_t i = 1; i < shape_.size(); ++i) shape_[i] = 1;
    return *this;
  }

  // The means of columns: [C,H,W] becomes the sequence [W,C].
  NetworkWriter& Columns() {
    AddNode("AveragePool", "columns", {from_}, "columns.y");
    SetInts("kernel_shape", {int64_t{shape_[1]}, 1});
    AddReshape("line", {0, shape_[0], shape_[2]});
    AddNode("Transpose", "steps", {from_}, "steps.y");
    SetInts("perm", {0, 2, 1});
    shape_ = {shape_[2], shape_[0]};
    return *this;
  }

  // The input is classes [T]; of each a row of a table "LAYER.W".
  NetworkWriter& Embedding(const std::string& layer, int classes, int values) {
    graph_->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
        onnx::TensorProto::INT64);
    Declare(graph_->add_input(), layer + ".W", {classes, values});
    AddNode("Gather", layer, {layer + ".W", from_}, layer + ".y");
    shape_.push_back(values);
    return *this;
  }

  // LSTM, GRU, reset GRU (which resets the state before its product) or RNN over a sequence [T,I]:
  // the hidden values of all steps, or of the last.
  NetworkWriter& Cells(const std::string& cell, const std::string& layer, int hidden, bool all) {
    const std::string op = cell == "reset GRU" ? "GRU" : cell;
    const int gates = op == "LSTM" ? 4 : op == "GRU" ? 3 : 1;
    Declare(graph_->add_input(), layer + ".W", {1, gates * hidden, shape_[1]});
    Declare(graph_->add_input(), layer + ".R", {1, gates * hidden, hidden});
    Declare(graph_->add_input(), layer + ".b", {1, 2 * gates * hidden});
    const std::string output = layer + ".y";
    AddNode(op, layer, {from_, layer + ".W", layer + ".R", layer + ".b"}, all ? output : "");
    SetInt("hidden_size", hidden);
    SetInt("layout", 1);
    if (cell == "GRU") SetInt("linear_before_reset", 1);
    if (!all) node_->add_output(output);
    from_ = output;
    const int64_t steps = shape_[0];
    AddReshape(layer + (all ? ".steps" : ".last"),
               all ? std::vector<int64_t>{0, steps, hidden} : std::vector<int64_t>{0, hidden});
    shape_ = all ? std::vector<int>{shape_[0], hidden} : std::vector<int>{hidden};
    return *this;
  }

  // Each step of a sequence over its channels, by parameters "NAME.W" and "NAME.b".
  NetworkWriter& LayerNorm(const std::string& name) {
    for (const char* parameter : {".W", ".b"}) {
      Declare(graph_->add_input(), name + parameter, {shape_[1]});
    }
    AddNode("LayerNormalization", name, {from_, name + ".W", name + ".b"}, name + ".z");
    return *this;
  }

  NetworkWriter& Flatten() {
    AddNode("Flatten", "flatten", {from_}, "flat");
    shape_ = {std::accumulate(shape_.begin(), shape_.end(), 1, std::multiplies<>())};
    return *this;
  }

  std::string Bytes() {
    DeclareSamples(graph_->add_output(), from_);
    std::string bytes;
    {
      google::protobuf::io::StringOutputStream stream(&bytes);
      google::protobuf::io::CodedOutputStream coded(&stream);
      coded.SetSerializationDeterministic(true);
      model_.SerializeToCodedStream(&coded);
    }
    return bytes;
  }

 private:
  // A float tensor in the graph's interface; dimension 0 stands for the batch "N".
  static void Declare(onnx::ValueInfoProto* info, const std::string& name,
                      const std::vector<int>& dims) {
    info->set_name(name);
    onnx::TypeProto::Tensor* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    for (int dim : dims) {
      onnx::TensorShapeProto::Dimension* made = type->mutable_shape()->add_dim();
      if (dim == 0) {
        made->set_dim_param("N");
      } else {
        made->set_dim_value(dim);
      }
    }
  }

  void DeclareSamples(onnx::ValueInfoProto* info, const std::string& name) const {
    std::vector<int> dims = {0};
    dims.insert(dims.end(), shape_.begin(), shape_.end());
    Declare(info, name, dims);
  }

  void AddNode(const std::string& op, const std::string& name,
               const std::vector<std::string>& inputs, const std::string& output) {
    node_ = graph_->add_node();
    node_->set_name(name);
    node_->set_op_type(op);
    for (const std::string& input : inputs) node_->add_input(input);
    node_->add_output(output);
    from_ = output;
  }

  // Its weight is declared already.
  void AddLayer(const std::string& op, const std::string& layer, int out,
                const std::string& output) {
    Declare(graph_->add_input(), layer + ".b", {out});
    AddNode(op, layer, {from_, layer + ".W", layer + ".b"}, output);
  }

  void AddConstants(const std::string& name, int count, float value) {
    onnx::TensorProto* tensor = graph_->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    tensor->add_dims(count);
    for (int i = 0; i < count; ++i) tensor->add_float_data(value);
  }

  void AddInts(const std::string& name, const std::vector<int64_t>& values) {
    onnx::TensorProto* tensor = graph_->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::INT64);
    tensor->add_dims(static_cast<int64_t>(values.size()));
    for (int64_t value : values) tensor->add_int64_data(value);
  }

  void AddReshape(const std::string& name, const std::vector<int64_t>& to) {
    AddInts(name + ".shape", to);
    AddNode("Reshape", name, {from_, name + ".shape"}, name + ".y");
  }

  void SetInt(const std::string& name, int64_t value) {
    onnx::AttributeProto* attribute = node_->add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(value);
  }

  void SetInts(const std::string& name, const std::vector<int64_t>& values) {
    onnx::AttributeProto* attribute = node_->add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::INTS);
    for (int64_t value : values) attribute->add_ints(value);
  }

  void SetWindow(int kernel, int stride, int pad) {
    SetInts("kernel_shape", {kernel, kernel});
    SetInts("strides", {stride, stride});
    SetInts("pads", {pad, pad, pad, pad});
    for (size_t i = 1; i < shape_.size(); ++i) {
      shape_[i] = (shape_[i] + 2 * pad - kernel) / stride + 1;
    }
  }

  onnx::ModelProto model_;
  onnx::GraphProto* graph_;
  onnx::NodeProto* node_ = nullptr;  // the last one
  std::string from_ = "x";           // its output
  std::vector<int> shape_;           // of a sample of it
};

void AddFullyConnected(NetworkWriter& net, const std::vector<int>& widths) {
  for (size_t i = 0; i < widths.size(); ++i) {
    const bool last = i + 1 == widths.size();
    const std::string number = std::to_string(i + 1);
    net.Gemm("fc" + number, widths[i], last);
    if (!last) net.Relu("relu" + number, "fc" + number + ".y");
  }
}

}  // namespace

std::string MakeFullyConnected(const std::string& name, const std::vector<int>& widths) {
  NetworkWriter net(name, {widths[0]});
  AddFullyConnected(net, {widths.begin() + 1, widths.end()});
  return net.Bytes();
}

std::string MakeConvolutional(const std::string& name, const std::vector<int>& shape,
                              const std::vector<ConvShape>& convs, const std::vector<int>& widths) {
  NetworkWriter net(name, shape);
  for (size_t i = 0; i < convs.size(); ++i) {
    const std::string number = std::to_string(i + 1);
    net.Conv("conv" + number, convs[i].out, convs[i].kernel, convs[i].stride, convs[i].pad,
             convs[i].groups);
    net.Relu("conv" + number + ".relu", "conv" + number + ".y");
    if (convs[i].pool > 1) net.MaxPool("pool" + number, convs[i].pool);
  }
  net.Flatten();
  AddFullyConnected(net, widths);
  return net.Bytes();
}

namespace {

void AddNormalised(NetworkWriter& net, const std::string& number, int out, int kernel, int stride,
                   int groups = 8) {
  net.Conv("conv" + number, out, kernel, stride, kernel / 2).GroupNorm("norm" + number, groups);
}

void AddMeanAndClasses(NetworkWriter& net, int classes) {
  net.GlobalAveragePool().Flatten().Gemm("fc", classes, true);
}

// Three convolutions with group normalisation, the last with a way around it.
std::string MakeConvnet() {
  NetworkWriter net("convnet", {1, 28, 28});
  AddNormalised(net, "1", 32, 5, 2);
  net.Relu("relu1", "relu1.y");
  AddNormalised(net, "2", 64, 3, 2);
  net.Relu("relu2", "relu2.y");
  const NetworkWriter::Point around = net.Here();
  AddNormalised(net, "3", 64, 3, 1);
  net.Join("Add", "sum", around).Relu("relu3", "relu3.y");
  AddMeanAndClasses(net, 10);
  return net.Bytes();
}

// Residual blocks of two convolutions (He et al., 2015), with group normalisation.
std::string MakeResnet() {
  NetworkWriter net("resnet", {3, 32, 32});
  AddNormalised(net, "0", 32, 3, 2);
  net.Relu("relu0", "relu0.y");
  constexpr struct { int channels, stride; } kBlocks[] = {{32, 1}, {64, 2}, {128, 2}};
  for (size_t i = 0; i < std::size(kBlocks); ++i) {
    const std::string block = std::to_string(i + 1);
    const NetworkWriter::Point in = net.Here();
    AddNormalised(net, block + "a", kBlocks[i].channels, 3, kBlocks[i].stride);
    net.Relu("relu" + block + "a", "relu" + block + "a.y");
    AddNormalised(net, block + "b", kBlocks[i].channels, 3, 1);
    NetworkWriter::Point around = in;
    if (kBlocks[i].stride > 1) {
      const NetworkWriter::Point inside = net.Here();
      AddNormalised(net.Goto(in), block + "c", kBlocks[i].channels, 1, kBlocks[i].stride);
      around = net.Here();
      net.Goto(inside);
    }
    net.Join("Add", "sum" + block, around).Relu("relu" + block + "b", "relu" + block + "b.y");
  }
  AddMeanAndClasses(net, 10);
  return net.Bytes();
}

// Convolutions of images whose columns are the steps of an LSTM.
std::string MakeCrnn() {
  NetworkWriter net("crnn", {1, 28, 28});
  net.Conv("conv1", 32, 5, 2, 2).Relu("conv1.relu", "conv1.y");
  net.Conv("conv2", 64, 3, 1, 1).Relu("conv2.relu", "conv2.y");
  return net.Columns().Cells("LSTM", "lstm", 128, false).Gemm("fc", 10, true).Bytes();
}

}  // namespace

std::string MakeResidual(const std::string& name, const std::vector<int>& shape, int channels,
                         int groups, int classes) {
  NetworkWriter net(name, shape);
  AddNormalised(net, "1", channels, 3, 1, groups);
  net.Relu("relu1", "relu1.y");
  const NetworkWriter::Point around = net.Here();
  AddNormalised(net, "2", channels, 3, 1, groups);
  net.Join("Add", "sum", around).Relu("relu2", "relu2.y");
  AddMeanAndClasses(net, classes);
  return net.Bytes();
}

std::string MakeGated(const std::string& name, const std::vector<int>& shape, int channels,
                      int classes) {
  NetworkWriter net(name, shape);
  net.Conv("conv1", 3 * channels, 3, 1, 1);
  const std::vector<NetworkWriter::Point> parts = net.Split("split", 3);
  net.Goto(parts[1]).Apply("Tanh", "tanh");
  const NetworkWriter::Point taken = net.Here();
  net.Goto(parts[2]).Apply("Sigmoid", "gate");
  const NetworkWriter::Point gate = net.Here();
  net.Goto(parts[0]).Join("Sub", "sub", taken).Relu("relu", "relu.y").Join("Div", "div", gate);
  net.Dropout("dropout", 0.25f);
  AddMeanAndClasses(net, classes);
  return net.Bytes();
}

namespace {

// "LSTM" -> "lstm"
std::string CellName(std::string op) {
  for (char& c : op) c = static_cast<char>(std::tolower(c));
  return op;
}

}  // namespace

std::string MakeBatchNormalised(const std::string& name, const std::vector<int>& shape,
                                int channels, int classes) {
  NetworkWriter net(name, shape);
  net.Conv("conv1", channels, 3, 1, 1).BatchNorm("norm1").Relu("relu1", "relu1.y");
  net.Conv("conv2", channels, 3, 1, 1).BatchNorm("norm2").Relu("relu2", "relu2.y");
  AddMeanAndClasses(net, classes);
  return net.Bytes();
}

std::string MakeSequential(const std::string& name, const std::string& cell, int steps, int in,
                           int hidden, int classes) {
  NetworkWriter net(name, {steps, in});
  return net.Cells(cell, CellName(cell), hidden, false).Gemm("fc", classes, true).Bytes();
}

std::string MakeNormalisedSteps(const std::string& name, const std::string& cell, int steps, int in,
                                int hidden, int classes) {
  NetworkWriter net(name, {steps, in});
  net.Cells(cell, CellName(cell), hidden, true).LayerNorm("norm").Flatten();
  return net.Gemm("fc", classes, true).Bytes();
}

std::string MakeTokens(const std::string& name, int steps, int vocabulary, int values, int hidden,
                       int classes) {
  NetworkWriter net(name, {steps});
  net.Embedding("embed", vocabulary, values)
      .Cells("LSTM", "lstm", hidden, false)
      .Gemm("fc", classes, true);
  return net.Bytes();
}

std::vector<NetworkFile> MakeShippedNetworks() {
  return {
      {"conv64.onnx", MakeConvolutional("conv64", {1, 28, 28},
                                        {{64, 3, 2, 1}, {64, 3, 1, 1}, {64, 3, 2, 1}}, {10})},
      {"convnet.onnx", MakeConvnet()},
      {"crnn.onnx", MakeCrnn()},
      // LeNet-5 (LeCun et al., 1998) as it is drawn today: all feature maps connected, ReLU,
      // maxima.
      {"lenet.onnx",
       MakeConvolutional("lenet", {1, 28, 28}, {{6, 5, 1, 2, 2}, {16, 5, 1, 0, 2}}, {120, 84, 10})},
      // Characters of a text, each a vector with a one; the classes are the next character.
      {"lstm.onnx", MakeSequential("lstm", "LSTM", 16, 128, 128, 128)},
      {"mlp.onnx", MakeFullyConnected("mlp", {784, 128, 10})},
      {"mlp-wide.onnx", MakeFullyConnected("mlp-wide", {784, 1024, 512, 10})},
      {"resnet.onnx", MakeResnet()},
      {"tiny.onnx", MakeFullyConnected("tiny", {64, 32, 10})},
      {"tiny-conv.onnx",
       MakeConvolutional("tiny-conv", {1, 28, 28}, {{8, 3, 2, 0}, {16, 3, 2, 1}}, {10})},
  };
}

std::vector<std::string> ListNetworks(const std::vector<fs::path>& search_dirs) {
  std::set<std::string> names;
  for (const fs::path& dir : search_dirs) {
    if (!fs::is_directory(dir)) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(dir)) {
      if (entry.path().extension() == ".onnx") names.insert(entry.path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

fs::path FindNetwork(std::string_view name_or_path, const std::vector<fs::path>& search_dirs) {
  for (const fs::path& dir : search_dirs) {
    fs::path file = dir / (std::string(name_or_path) + ".onnx");
    if (name_or_path.find('/') == std::string_view::npos && fs::is_regular_file(file)) return file;
  }
  if (fs::exists(name_or_path)) return name_or_path;
  std::vector<std::string> names = ListNetworks(search_dirs);
  std::vector<std::string_view> views(names.begin(), names.end());
  RefuseInput("network {}: neither a shipped network nor a file; {}", Quote(name_or_path),
              views.empty()
                  ? "accepted: the path of an ONNX file"
                  : fmt::format("nearest shipped network: {}", NearestName(name_or_path, views)));
}

}  // namespace vaultrain
