// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Where a value of the training graph comes from is asked of Differentiate itself: it gets the
// graph with the number of every element for its value.

#include "vaultrain/onnx_export.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "network/onnx_proto.h"
#include "vaultrain/error.h"
#include "vaultrain/graph.h"
#include "vaultrain/text.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {
namespace {

// Numbers below are the bits of finite floats.
constexpr uint64_t kMaxNumbers = 0x7F800000;

onnx::ModelProto Parsed(const std::string& bytes) {
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes)) {
    throw Error(ExitStatus::kInternal, "an ONNX file that was read cannot be read again");
  }
  return model;
}

template <typename List>
auto* Named(List* list, const std::string& name) {
  for (auto& entry : *list) {
    if (entry.name() == name) return &entry;
  }
  return static_cast<decltype(&*list->begin())>(nullptr);
}

onnx::NodeProto* Maker(onnx::GraphProto* graph, const std::string& tensor) {
  for (onnx::NodeProto& node : *graph->mutable_node()) {
    if (node.output_size() > 0 && node.output(0) == tensor) return &node;
  }
  return nullptr;
}

// The name under which the file holds a parameter's values: an Identity gives them another one.
std::string Held(onnx::GraphProto* graph, std::string name) {
  while (Named(graph->mutable_initializer(), name) == nullptr) {
    const onnx::NodeProto* node = Maker(graph, name);
    if (node == nullptr || node->op_type() != "Identity") break;
    name = node->input(0);
  }
  return name;
}

// What holds the values of that name; a graph input gets an initialiser.
onnx::TensorProto* Holder(onnx::GraphProto* graph, const std::string& name,
                          const std::vector<int64_t>& shape) {
  if (onnx::TensorProto* found = Named(graph->mutable_initializer(), name)) return found;
  if (onnx::NodeProto* node = Maker(graph, name)) return node->mutable_attribute(0)->mutable_t();
  onnx::TensorProto* made = graph->add_initializer();
  made->set_name(name);
  made->set_data_type(onnx::TensorProto::FLOAT);
  for (int64_t dim : shape) made->add_dims(dim);
  return made;
}

std::vector<int64_t> ShapeOf(const Graph& graph, const std::string& name) {
  for (const Tensor& tensor : graph.tensors) {
    if (tensor.name == name) return tensor.shape;
  }
  throw Error(ExitStatus::kInternal, fmt::format("no tensor {} in the file", name));
}

}  // namespace

OnnxExport::OnnxExport(std::string bytes, const std::string& file, int64_t batch, Loss loss)
    : bytes_(std::move(bytes)) {
  Graph graph = ParseOnnx(bytes_, file);
  uint64_t numbers = 1;                          // 0 stands for what adds nothing
  std::map<uint64_t, const Tensor*> parameters;  // by the number of their first element
  for (Tensor& tensor : graph.tensors) {
    if (!tensor.is_parameter || tensor.type != ElementType::kFloat) continue;
    parameters[numbers] = &tensor;
    tensor.values.resize(static_cast<size_t>(Elements(tensor.shape)));
    if (numbers + tensor.values.size() > kMaxNumbers) {
      RefuseInput("{}: more than the {} parameters that can be exported", file, kMaxNumbers);
    }
    for (float& value : tensor.values) {
      value = std::bit_cast<float>(static_cast<uint32_t>(numbers++));
    }
  }
  // Of the two biases of a cell, where they are trained as their sum, the first gets it all.
  for (const Node& node : graph.nodes) {
    const bool is_cell = node.kind == OperatorKind::kRnn || node.kind == OperatorKind::kLstm ||
                         (node.kind == OperatorKind::kGru && node.Int("linear_before_reset") == 0);
    if (!is_cell || node.inputs.size() < 4 || node.inputs[3] < 0) continue;
    std::vector<float>& bias = graph.tensors[node.inputs[3]].values;
    std::fill(bias.begin() + static_cast<std::ptrdiff_t>(bias.size() / 2), bias.end(), 0.0f);
  }
  const TrainingGraph trained = Differentiate(graph, batch, loss);
  onnx::ModelProto model = Parsed(bytes_);
  struct Claim {
    std::string parameter;
    std::vector<bool> elements;
  };
  std::map<std::string, Claim> claimed;  // what the file holds -> what takes it
  for (const TrainingTensor& tensor : trained.tensors) {
    if (!tensor.is_parameter()) continue;
    Source& source = sources_[tensor.name];
    const auto first =
        std::prev(parameters.upper_bound(std::bit_cast<uint32_t>(tensor.start.front())));
    const size_t size = first->second->values.size();
    source.name = Held(model.mutable_graph(), first->second->name);
    Claim& claim =
        claimed.try_emplace(source.name, Claim{tensor.name, std::vector<bool>(size)}).first->second;
    for (const float value : tensor.start) {
      const uint64_t element = std::bit_cast<uint32_t>(value) - first->first;
      if (element >= size) {
        throw Error(ExitStatus::kInternal, fmt::format("{} is not of one parameter", tensor.name));
      }
      if (claim.elements[element]) {
        RefuseInput("{}: {} and {} both come from {}; accepted for --export: values of their own",
                    file, claim.parameter, tensor.name, Quote(source.name));
      }
      claim.elements[element] = true;
      source.element.push_back(static_cast<uint32_t>(element));
    }
  }
}

std::string OnnxExport::With(const std::map<std::string, std::vector<float>>& parameters) const {
  onnx::ModelProto model = Parsed(bytes_);
  const Graph graph = ParseOnnx(bytes_, "");
  std::map<std::string, std::vector<float>> held;  // 0 where nothing is trained
  for (const auto& [parameter, source] : sources_) {
    const auto values = parameters.find(parameter);
    if (values == parameters.end() || values->second.size() != source.element.size()) {
      throw Error(ExitStatus::kInternal, fmt::format("no values of {} to export", parameter));
    }
    std::vector<float>& all = held[source.name];
    if (all.empty()) all.resize(static_cast<size_t>(Elements(ShapeOf(graph, source.name))));
    for (size_t i = 0; i < source.element.size(); ++i) {
      all[source.element[i]] = values->second[i];
    }
  }
  for (const auto& [name, values] : held) {
    onnx::TensorProto* holder = Holder(model.mutable_graph(), name, ShapeOf(graph, name));
    if (holder->float_data_size() > 0) {
      holder->mutable_float_data()->Assign(values.begin(), values.end());
    } else {
      static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");
      holder->set_raw_data(values.data(), values.size() * sizeof(float));
    }
  }
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    model.SerializeToCodedStream(&coded);
  }
  return bytes;
}

}  // namespace vaultrain
