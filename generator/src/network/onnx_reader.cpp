// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Reads ONNX into a Graph. Nothing in the file is trusted: every index, size and name is checked
// before use, and memory stays in proportion to the file.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "network/onnx_proto.h"
#include "network/shape_rules.h"
#include "vaultrain/error.h"
#include "vaultrain/graph.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

constexpr int kMinIrVersion = 3;
constexpr int kMaxIrVersion = 10;
constexpr size_t kMaxFileBytes = size_t{1} << 30;
constexpr int kMaxRank = 8;

bool IsDefaultDomain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

class Reader {
 public:
  explicit Reader(const std::string& file) { graph_.file = file; }

  Graph Read(std::string_view bytes) {
    Parse(bytes);
    CheckModel();
    for (const onnx::TensorProto& proto : model_.graph().initializer()) AddInitialiser(proto);
    AddInputs();
    AddNodes();
    AddOutput();
    CheckUse();
    return std::move(graph_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void Refuse(fmt::format_string<Args...> format, Args&&... args) const {
    RefuseInput("{}: {}", graph_.file, fmt::format(format, std::forward<Args>(args)...));
  }

  template <typename... Args>
  [[noreturn]] void RefuseNode(const Node& node, const std::string& op,
                               fmt::format_string<Args...> format, Args&&... args) const {
    Refuse("node {} ({}): {}", Quote(node.name), op,
           fmt::format(format, std::forward<Args>(args)...));
  }

  void Parse(std::string_view bytes) {
    if (bytes.empty()) Refuse("the file is empty; accepted: an ONNX model");
    if (bytes.size() > kMaxFileBytes) {
      Refuse("{} bytes are more than the {} that are accepted", bytes.size(), kMaxFileBytes);
    }
    google::protobuf::LogSilencer silence;
    bool parsed = model_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    if (!parsed) {
      // What came before the damage tells whether it was ONNX at all.
      if (model_.ir_version() >= 1 && model_.ir_version() <= 100 &&
          (model_.has_graph() || model_.has_producer_name() || model_.opset_import_size() > 0)) {
        Refuse("the ONNX file is truncated or damaged ({} bytes); accepted: a whole file",
               bytes.size());
      }
      Refuse("not an ONNX file; accepted: an ONNX model as protobuf");
    }
    if (!model_.has_ir_version() || !model_.has_graph()) {
      Refuse("not an ONNX model: it has no {}", model_.has_graph() ? "IR version" : "graph");
    }
  }

  void CheckModel() {
    if (model_.ir_version() < kMinIrVersion || model_.ir_version() > kMaxIrVersion) {
      Refuse("IR version {} is not supported; accepted: {} to {}", model_.ir_version(),
             kMinIrVersion, kMaxIrVersion);
    }
    std::optional<int64_t> opset;
    for (const onnx::OperatorSetIdProto& import : model_.opset_import()) {
      if (IsDefaultDomain(import.domain())) opset = import.version();
    }
    if (!opset) Refuse("the model imports no opset of the default domain");
    graph_.opset = *opset;
    if (*opset < kMinOpset || *opset > kMaxOpset) {
      Refuse("opset {} is not supported; accepted: {} to {}", *opset, kMinOpset, kMaxOpset);
    }
    if (model_.graph().sparse_initializer_size() > 0) {
      Refuse("sparse initialisers are not supported; accepted: dense ones");
    }
    if (model_.graph().node_size() == 0) Refuse("the graph has no nodes");
  }

  // ---- tensors

  int AddTensor(Tensor tensor) {
    if (tensor.name.empty()) Refuse("a tensor has no name");
    int index = static_cast<int>(graph_.tensors.size());
    if (!by_name_.emplace(tensor.name, index).second) {
      Refuse("tensor {} is defined twice; accepted: each name once", Quote(tensor.name));
    }
    graph_.tensors.push_back(std::move(tensor));
    return index;
  }

  // Checks rank and that every dimension is positive and their product small enough.
  void CheckShape(const std::string& name, const std::vector<int64_t>& shape) const {
    if (shape.size() > kMaxRank) {
      Refuse("tensor {} has {} dimensions; accepted: up to {}", Quote(name), shape.size(),
             kMaxRank);
    }
    int64_t elements = 1;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (i == 0 && shape[i] == kBatchDim) continue;
      if (shape[i] <= 0) {
        Refuse("tensor {}: dimension {} is {}; accepted: 1 or more", Quote(name), i, shape[i]);
      }
      if (shape[i] > kMaxElements / elements) {
        Refuse("tensor {} has more than the {} elements that are accepted", Quote(name),
               kMaxElements);
      }
      elements *= shape[i];
    }
  }

  template <typename T, typename Repeated>
  std::vector<T> Values(const onnx::TensorProto& proto, const Repeated& typed,
                        int64_t elements) const {
    std::vector<T> values;
    int64_t found;
    if (proto.has_raw_data()) {
      const std::string& raw = proto.raw_data();
      found = static_cast<int64_t>(raw.size() / sizeof(T));
      if (raw.size() % sizeof(T) == 0 && found == elements) {
        values.resize(elements);
        std::memcpy(values.data(), raw.data(), raw.size());
        return values;
      }
    } else {
      found = typed.size();
      if (found == elements) return std::vector<T>(typed.begin(), typed.end());
    }
    Refuse("initialiser {} has shape {} but {} values", Quote(proto.name()),
           ShapeText({proto.dims().begin(), proto.dims().end()}), found);
  }

  Tensor ConstantTensor(const onnx::TensorProto& proto, const std::string& name) const {
    Tensor tensor;
    tensor.name = name;
    tensor.is_parameter = true;
    tensor.shape.assign(proto.dims().begin(), proto.dims().end());
    if (proto.has_data_location() && proto.data_location() != onnx::TensorProto::DEFAULT) {
      Refuse("initialiser {} lies in another file; accepted: data inside the ONNX file",
             Quote(name));
    }
    for (int64_t dim : tensor.shape) {
      if (dim <= 0) {
        Refuse("initialiser {} has a dimension of {}; accepted: 1 or more", Quote(name), dim);
      }
    }
    CheckShape(name, tensor.shape);
    int64_t elements = Elements(tensor.shape);
    if (proto.data_type() == onnx::TensorProto::FLOAT) {
      tensor.type = ElementType::kFloat;
      tensor.values = Values<float>(proto, proto.float_data(), elements);
      for (float value : tensor.values) {
        if (!std::isfinite(value)) {
          Refuse("initialiser {} holds NaN or infinity; accepted: finite values", Quote(name));
        }
      }
    } else if (proto.data_type() == onnx::TensorProto::INT64) {
      tensor.type = ElementType::kInt64;
      tensor.ints = Values<int64_t>(proto, proto.int64_data(), elements);
    } else if (proto.data_type() == onnx::TensorProto::INT32) {
      tensor.type = ElementType::kInt64;
      const auto ints = Values<int32_t>(proto, proto.int32_data(), elements);
      tensor.ints.assign(ints.begin(), ints.end());
    } else if (proto.data_type() == onnx::TensorProto::BOOL) {
      tensor.type = ElementType::kBool;
      const auto bools = Values<uint8_t>(proto, proto.int32_data(), elements);
      tensor.ints.assign(bools.begin(), bools.end());
    } else {
      Refuse(
          "initialiser {} has element type {}; accepted: FLOAT, INT64 and INT32 for shapes and "
          "places, BOOL for modes",
          Quote(name), TypeName(proto.data_type()));
    }
    return tensor;
  }

  static std::string TypeName(int type) {
    return onnx::TensorProto::DataType_IsValid(type)
               ? onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(type))
               : std::to_string(type);
  }

  void AddInitialiser(const onnx::TensorProto& proto) {
    AddTensor(ConstantTensor(proto, proto.name()));
  }

  // ---- graph inputs

  static bool IsSymbolic(const onnx::TensorShapeProto::Dimension& dim) {
    return !dim.has_dim_value() || dim.dim_value() == 0 || dim.dim_value() == -1;
  }

  const onnx::TypeProto::Tensor& TensorType(const onnx::ValueInfoProto& info) const {
    if (!info.has_type() || !info.type().has_tensor_type() ||
        !info.type().tensor_type().has_shape()) {
      Refuse("graph input {} has no tensor shape", Quote(info.name()));
    }
    return info.type().tensor_type();
  }

  void AddInputs() {
    std::vector<const onnx::ValueInfoProto*> open;  // inputs without an initialiser
    std::vector<const onnx::ValueInfoProto*> symbolic;
    for (const onnx::ValueInfoProto& info : model_.graph().input()) {
      if (by_name_.count(info.name())) {
        CheckDeclared(info, graph_.tensors[by_name_.at(info.name())]);
        continue;
      }
      const onnx::TypeProto::Tensor& type = TensorType(info);
      open.push_back(&info);
      if (type.shape().dim_size() > 0 && IsSymbolic(type.shape().dim(0))) symbolic.push_back(&info);
    }
    const std::vector<const onnx::ValueInfoProto*>& data = open.size() == 1 ? open : symbolic;
    if (open.empty()) Refuse("the graph has no data input; accepted: one");
    if (data.size() != 1) {
      Refuse(
          "{} of {} graph inputs without initialiser have a symbolic first dimension; accepted: "
          "one, the data",
          data.size(), open.size());
    }
    for (const onnx::ValueInfoProto* info : open) AddInput(*info, info == data[0]);
  }

  static bool IsInteger(int type) {
    return type == onnx::TensorProto::INT64 || type == onnx::TensorProto::INT32;
  }

  void AddInput(const onnx::ValueInfoProto& info, bool is_data) {
    const int type = TensorType(info).elem_type();
    if (type != onnx::TensorProto::FLOAT && !(is_data && IsInteger(type))) {
      Refuse("graph input {} has element type {}; accepted: FLOAT{}", Quote(info.name()),
             TypeName(type), is_data ? ", INT64 and INT32 for indices" : "");
    }
    const onnx::TensorShapeProto& shape = TensorType(info).shape();
    Tensor tensor;
    tensor.name = info.name();
    tensor.type = IsInteger(type) ? ElementType::kInt64 : ElementType::kFloat;
    tensor.is_parameter = !is_data;
    for (int i = 0; i < shape.dim_size(); ++i) {
      if (is_data && i == 0) {
        if (!IsSymbolic(shape.dim(0))) graph_.file_batch = shape.dim(0).dim_value();
        tensor.shape.push_back(kBatchDim);
        continue;
      }
      if (IsSymbolic(shape.dim(i))) {
        Refuse(
            "graph input {}: dimension {} is dynamic; accepted: only the batch, first of the data",
            Quote(info.name()), i);
      }
      tensor.shape.push_back(shape.dim(i).dim_value());
      if (tensor.shape.back() < 0) {
        Refuse("graph input {}: dimension {} is {}; accepted: 1 or more", Quote(info.name()), i,
               tensor.shape.back());
      }
    }
    CheckShape(tensor.name, tensor.shape);
    if (is_data && tensor.shape.size() < 2) {
      Refuse("graph input {} is {}; accepted: batch x features, or more dimensions",
             Quote(tensor.name), ShapeText(tensor.shape));
    }
    int index = AddTensor(std::move(tensor));
    if (is_data) graph_.input = index;
  }

  // A declared type and shape, where there is one, must be what we found.
  void CheckDeclared(const onnx::ValueInfoProto& info, const Tensor& tensor) const {
    if (!info.has_type() || !info.type().has_tensor_type()) return;
    const onnx::TypeProto::Tensor& type = info.type().tensor_type();
    const int expected = tensor.type == ElementType::kFloat  ? onnx::TensorProto::FLOAT
                         : tensor.type == ElementType::kBool ? onnx::TensorProto::BOOL
                                                             : onnx::TensorProto::INT64;
    if (type.elem_type() != expected &&
        !(tensor.type == ElementType::kInt64 && IsInteger(type.elem_type()))) {
      Refuse("tensor {} is declared as {} but is {}", Quote(info.name()),
             TypeName(type.elem_type()), TypeName(expected));
    }
    if (!type.has_shape()) return;
    const std::vector<int64_t> found = FileShape(tensor);
    bool same = type.shape().dim_size() == static_cast<int>(found.size());
    std::vector<int64_t> declared;
    for (int i = 0; i < type.shape().dim_size(); ++i) {
      const onnx::TensorShapeProto::Dimension& dim = type.shape().dim(i);
      declared.push_back(IsSymbolic(dim) ? kBatchDim : dim.dim_value());
      if (!same || IsSymbolic(dim)) continue;
      int64_t inferred = found[i] == kBatchDim ? graph_.file_batch : found[i];
      same = dim.dim_value() == inferred;
    }
    if (!same) {
      Refuse("shape mismatch: {} is declared as {} but has shape {}", Quote(info.name()),
             ShapeText(declared), ShapeText(found));
    }
  }

  // ---- nodes

  void AddNodes() {
    const auto& protos = model_.graph().node();
    for (const onnx::NodeProto& proto : protos) {
      used_.insert(proto.input().begin(), proto.input().end());
    }
    for (const onnx::ValueInfoProto& info : model_.graph().output()) used_.insert(info.name());
    // Who makes which tensor, to sort the nodes and to tell a cycle from a missing tensor.
    std::map<std::string, int> producer;
    for (int i = 0; i < protos.size(); ++i) {
      for (const std::string& output : protos[i].output()) {
        if (!output.empty() && !producer.emplace(output, i).second) {
          Refuse("tensor {} is defined twice; accepted: each name once", Quote(output));
        }
      }
    }
    std::vector<int> missing(protos.size(), 0);
    std::vector<std::vector<int>> users(protos.size());
    std::set<int> ready;  // in file order, so that a sorted file keeps its order
    for (int i = 0; i < protos.size(); ++i) {
      for (const std::string& input : protos[i].input()) {
        if (input.empty() || by_name_.count(input)) continue;
        auto found = producer.find(input);
        if (found == producer.end()) {
          Refuse(
              "node {} ({}): input {} is missing; accepted: an initialiser, a graph input or an "
              "output of another node",
              Quote(NodeName(i)), Quote(protos[i].op_type()), Quote(input));
        }
        users[found->second].push_back(i);
        ++missing[i];
      }
      if (missing[i] == 0) ready.insert(i);
    }
    int done = 0;
    while (!ready.empty()) {
      int i = *ready.begin();
      ready.erase(ready.begin());
      AddNode(protos[i], NodeName(i));
      ++done;
      for (int user : users[i]) {
        if (--missing[user] == 0) ready.insert(user);
      }
    }
    if (done < protos.size()) {
      for (int i = 0; i < protos.size(); ++i) {
        if (missing[i] > 0) {
          Refuse("node {} ({}) is on or behind a cycle; accepted: graphs without cycles",
                 Quote(NodeName(i)), Quote(protos[i].op_type()));
        }
      }
    }
  }

  std::string NodeName(int i) const {
    const onnx::NodeProto& proto = model_.graph().node(i);
    return proto.name().empty() ? fmt::format("{}_{}", proto.op_type(), i) : proto.name();
  }

  void AddNode(const onnx::NodeProto& proto, const std::string& name) {
    Node node;
    node.name = name;
    if (proto.op_type() == "Constant" && IsDefaultDomain(proto.domain())) {
      AddConstant(proto, node);
      return;
    }
    const Operator* op = FindOperator(proto, node);
    node.kind = op->kind;
    for (const std::string& input : proto.input()) {
      node.inputs.push_back(input.empty() ? -1 : by_name_.at(input));
    }
    while (!node.inputs.empty() && node.inputs.back() < 0) node.inputs.pop_back();
    int inputs = static_cast<int>(node.inputs.size());
    if (inputs < op->min_inputs || inputs > op->max_inputs) {
      RefuseNode(node, proto.op_type(), "{} inputs; accepted: {} to {}", inputs, op->min_inputs,
                 op->max_inputs);
    }
    for (int i = 0; i < op->min_inputs; ++i) {
      if (node.inputs[i] < 0) RefuseNode(node, proto.op_type(), "input {} is left out", i);
    }
    if (graph_.opset < op->since) {
      RefuseNode(node, proto.op_type(), "comes with opset {}; the file is of opset {}", op->since,
                 graph_.opset);
    }
    ReadAttributes(proto, *op, node);
    const std::vector<std::string> outputs = UsedOutputs(proto, *op, node);

    // What renames or transposes a parameter gives one more.
    const bool transposes = op->kind == OperatorKind::kTranspose;
    if ((op->kind == OperatorKind::kIdentity || transposes) &&
        graph_.tensors[node.inputs[0]].is_parameter) {
      const Tensor& from = graph_.tensors[node.inputs[0]];
      if (from.values.empty() && from.ints.empty()) {
        RefuseNode(node, proto.op_type(), "a parameter without initialiser cannot be {}",
                   transposes ? "transposed" : "renamed");
      }
      Tensor copy = transposes ? Transposed(from, PermOf(graph_, node, from.shape.size())) : from;
      copy.name = proto.output(0);
      copy.consumers.clear();
      AddTensor(std::move(copy));
      return;
    }

    // One index without dimension: a slice of one, whose dimension goes.
    const Tensor& first = graph_.tensors[node.inputs[0]];
    if (op->kind == OperatorKind::kGather && first.is_data()) {
      const Tensor& index = graph_.tensors[node.inputs[1]];
      if (index.type == ElementType::kInt64 && index.shape.empty() && index.ints.size() == 1) {
        PlaceElement(node, first, index.ints[0], outputs[0]);
        return;
      }
    }
    Place(std::move(node), outputs);
  }

  static Tensor Transposed(const Tensor& from, const std::vector<int64_t>& perm) {
    const size_t rank = perm.size();
    Tensor to = from;
    std::vector<int64_t> steps(rank, 1), index(rank, 0);
    for (size_t i = 0; i < rank; ++i) {
      to.shape[i] = from.shape[perm[i]];
      for (size_t j = perm[i] + 1; j < rank; ++j) steps[i] *= from.shape[j];
    }
    for (int64_t at = 0, place = 0; at < Elements(to.shape); ++at) {
      if (!from.values.empty()) to.values[at] = from.values[place];
      if (!from.ints.empty()) to.ints[at] = from.ints[place];
      for (size_t i = rank; i > 0; --i) {
        place += steps[i - 1];
        if (++index[i - 1] < to.shape[i - 1]) break;
        place -= steps[i - 1] * to.shape[i - 1];
        index[i - 1] = 0;
      }
    }
    return to;
  }

  // A slice of one place along the axis of a Gather, and the Squeeze that takes the axis away.
  void PlaceElement(const Node& gather, const Tensor& data, int64_t index,
                    const std::string& output) {
    const int64_t axis = FileAxis(graph_, gather, gather.Int("axis"), data.shape.size());
    const int64_t dim = FileShape(data)[axis];
    if (axis != data.batch_axis && (index < -dim || index >= dim)) {
      RefuseNode(gather, "Gather", "index {} of {} values; accepted: {} to {}", index, dim, -dim,
                 dim - 1);
    }
    GraphAxis(graph_, gather, data, axis);
    if (index < 0) index += dim;
    const std::vector<int64_t> axes = {axis};
    Node slice;
    slice.name = gather.name;
    slice.kind = OperatorKind::kSlice;
    slice.inputs = {gather.inputs[0]};
    slice.attributes = {{"axes", axes},
                        {"starts", std::vector<int64_t>{index}},
                        {"ends", std::vector<int64_t>{index + 1}}};
    Node squeeze = slice;
    squeeze.kind = OperatorKind::kSqueeze;
    squeeze.attributes = {{"axes", axes}};
    Place(std::move(slice), {output + "/slice"});
    squeeze.inputs = {graph_.nodes.back().outputs[0]};
    Place(std::move(squeeze), {output});
  }

  // The names of the outputs that something uses; empty ones for the others. A single output stays
  // though nothing uses it, for CheckUse.
  std::vector<std::string> UsedOutputs(const onnx::NodeProto& proto, const Operator& op,
                                       Node& node) const {
    std::vector<std::string> outputs(proto.output().begin(), proto.output().end());
    const auto most = static_cast<size_t>(op.max_outputs);
    int used = 0, named = 0;
    for (size_t i = 0; i < outputs.size(); ++i) {
      named += !outputs[i].empty();
      if (!used_.count(outputs[i]) && (i > 0 || most > 1)) outputs[i].clear();
      used += !outputs[i].empty();
      if (i >= most && !outputs[i].empty()) {
        RefuseNode(node, proto.op_type(), "output {} {} is used; accepted: output 0 alone", i,
                   Quote(outputs[i]));
      }
    }
    if (used == 0) {
      RefuseNode(node, proto.op_type(),
                 "none of its outputs leads anywhere; accepted: one or more that are used");
    }
    if (most == 1 && outputs[0].empty()) {
      RefuseNode(node, proto.op_type(), "output 0 is left out");
    }
    if (op.kind != OperatorKind::kSplit) outputs.resize(most);
    // Before it had the attribute, its other outputs said that it trains.
    if (op.kind == OperatorKind::kBatchNormalization && graph_.opset < 14) {
      node.attributes["training_mode"] = int64_t{named > 1};
    }
    return outputs;
  }

  void Place(Node node, const std::vector<std::string>& outputs) {
    const Operator& op = OperatorOf(node.kind);
    const auto place = static_cast<int>(graph_.nodes.size());
    for (const std::string& name : outputs) {
      if (name.empty()) {
        node.outputs.push_back(-1);
        continue;
      }
      Tensor output;
      output.name = name;
      output.producer = place;
      node.outputs.push_back(AddTensor(std::move(output)));
    }
    op.infer(graph_, node);
    for (int input : node.inputs) {
      if (input >= 0) graph_.tensors[input].consumers.push_back(place);
    }
    for (int output : node.outputs) {
      if (output >= 0) CheckShape(graph_.tensors[output].name, graph_.tensors[output].shape);
    }
    graph_.nodes.push_back(std::move(node));
  }

  const Operator* FindOperator(const onnx::NodeProto& proto, const Node& node) const {
    std::vector<std::string_view> names;
    for (const Operator& op : Operators()) {
      if (op.name == proto.op_type() && IsDefaultDomain(proto.domain())) return &op;
      names.push_back(op.name);
    }
    Refuse("node {}: operator {}{} is not supported; accepted: {}, Constant", Quote(node.name),
           Quote(proto.op_type()),
           IsDefaultDomain(proto.domain()) ? "" : " of domain " + Quote(proto.domain()),
           fmt::join(names, ", "));
  }

  void ReadAttributes(const onnx::NodeProto& proto, const Operator& op, Node& node) const {
    auto holds = [&](const AttributeRule& rule) {
      return rule.since <= graph_.opset && graph_.opset <= rule.until;
    };
    for (const AttributeRule& rule : op.attributes) {
      const std::string name(rule.name);
      if (holds(rule) || !node.attributes.count(name)) node.attributes[name] = rule.default_value;
      const bool found =
          std::any_of(proto.attribute().begin(), proto.attribute().end(),
                      [&](const onnx::AttributeProto& a) { return a.name() == rule.name; });
      if (rule.required && !found) {
        RefuseNode(node, proto.op_type(), "attribute {} is missing", rule.name);
      }
    }
    for (const onnx::AttributeProto& attribute : proto.attribute()) {
      auto of_name = [&](const AttributeRule& r) { return r.name == attribute.name(); };
      auto rule = std::find_if(op.attributes.begin(), op.attributes.end(),
                               [&](const AttributeRule& r) { return of_name(r) && holds(r); });
      if (rule == op.attributes.end()) {
        rule = std::find_if(op.attributes.begin(), op.attributes.end(), of_name);
      }
      if (rule == op.attributes.end()) {
        RefuseNode(node, proto.op_type(), "attribute {} is not supported", Quote(attribute.name()));
      }
      ReadAttribute(attribute, proto.op_type(), *rule, node);
    }
  }

  void ReadAttribute(const onnx::AttributeProto& proto, const std::string& op,
                     const AttributeRule& rule, Node& node) const {
    struct Type {
      onnx::AttributeProto::AttributeType type;
      std::string_view text;
    };
    static constexpr Type kTypes[] = {{onnx::AttributeProto::INT, "an integer"},
                                      {onnx::AttributeProto::FLOAT, "a float"},
                                      {onnx::AttributeProto::INTS, "a list of integers"},
                                      {onnx::AttributeProto::STRING, "a string"},
                                      {onnx::AttributeProto::STRINGS, "a list of strings"}};
    static_assert(std::size(kTypes) == std::variant_size_v<Attribute>);
    const Type& type = kTypes[rule.default_value.index()];
    if (graph_.opset < rule.since) {
      RefuseNode(node, op, "attribute {} comes with opset {}; the file is of opset {}", rule.name,
                 rule.since, graph_.opset);
    }
    if (graph_.opset > rule.until) {
      RefuseNode(node, op, "attribute {} ends with opset {}; the file is of opset {}", rule.name,
                 rule.until, graph_.opset);
    }
    if (proto.type() != type.type) {
      RefuseNode(node, op, "attribute {} must be {}", rule.name, type.text);
    }
    auto check = [&](double value, std::string_view place) {
      if (value >= rule.min && value <= rule.max) return;
      RefuseNode(node, op, "{}{} = {} is not supported; accepted: {}", rule.name, place, value,
                 rule.min == rule.max ? fmt::format("{}", rule.min)
                                      : fmt::format("{} to {}", rule.min, rule.max));
    };
    Attribute& value = node.attributes[std::string(rule.name)];
    if (type.type == onnx::AttributeProto::INT) {
      check(static_cast<double>(proto.i()), "");
      value = int64_t{proto.i()};
    } else if (type.type == onnx::AttributeProto::FLOAT) {
      check(proto.f(), "");
      value = proto.f();
    } else if (type.type == onnx::AttributeProto::INTS) {
      for (int i = 0; i < proto.ints_size(); ++i) {
        check(static_cast<double>(proto.ints(i)), fmt::format("[{}]", i));
      }
      value = std::vector<int64_t>(proto.ints().begin(), proto.ints().end());
    } else if (type.type == onnx::AttributeProto::STRING) {
      CheckChoice(proto.s(), "", op, rule, node);
      value = proto.s();
    } else {
      for (int i = 0; i < proto.strings_size(); ++i) {
        CheckChoice(proto.strings(i), fmt::format("[{}]", i), op, rule, node);
      }
      value = std::vector<std::string>(proto.strings().begin(), proto.strings().end());
    }
  }

  void CheckChoice(const std::string& choice, const std::string& place, const std::string& op,
                   const AttributeRule& rule, const Node& node) const {
    if (std::find(rule.choices.begin(), rule.choices.end(), choice) == rule.choices.end()) {
      RefuseNode(node, op, "{}{} = {} is not supported; accepted: {}", rule.name, place,
                 Quote(choice), fmt::join(rule.choices, ", "));
    }
  }

  // Constant nodes become parameters with values.
  void AddConstant(const onnx::NodeProto& proto, const Node& node) {
    if (proto.output_size() != 1 || proto.attribute_size() != 1 || proto.input_size() != 0) {
      RefuseNode(node, "Constant", "accepted: no input, one attribute, one output");
    }
    const onnx::AttributeProto& attribute = proto.attribute(0);
    if (attribute.name() == "value" && attribute.has_t()) {
      AddTensor(ConstantTensor(attribute.t(), proto.output(0)));
    } else if (attribute.name() == "value_ints" && attribute.ints_size() > 0) {
      Tensor tensor;
      tensor.name = proto.output(0);
      tensor.type = ElementType::kInt64;
      tensor.is_parameter = true;
      tensor.ints.assign(attribute.ints().begin(), attribute.ints().end());
      tensor.shape = {static_cast<int64_t>(tensor.ints.size())};
      AddTensor(std::move(tensor));
    } else {
      RefuseNode(node, "Constant", "attribute {} is not supported; accepted: value, value_ints",
                 Quote(attribute.name()));
    }
  }

  // ---- the whole

  void AddOutput() {
    if (model_.graph().output_size() != 1) {
      Refuse("the graph has {} outputs; accepted: one", model_.graph().output_size());
    }
    const onnx::ValueInfoProto& info = model_.graph().output(0);
    auto found = by_name_.find(info.name());
    if (found == by_name_.end() || graph_.tensors[found->second].producer < 0) {
      Refuse("graph output {} is the output of no node", Quote(info.name()));
    }
    graph_.output = found->second;
    const Tensor& output = graph_.tensors[graph_.output];
    if (output.batch_axis != 0 || output.type != ElementType::kFloat) {
      Refuse("graph output {} {}; accepted: FLOAT with the batch first", Quote(info.name()),
             output.batch_axis != 0
                 ? fmt::format("has the batch as dimension {}", output.batch_axis)
                 : "has element type INT64");
    }
    CheckDeclared(info, graph_.tensors[graph_.output]);
    for (const onnx::ValueInfoProto& value : model_.graph().value_info()) {
      auto declared = by_name_.find(value.name());
      if (declared != by_name_.end()) CheckDeclared(value, graph_.tensors[declared->second]);
    }
  }

  void CheckUse() const {
    for (const Node& node : graph_.nodes) {
      for (int output : node.outputs) {
        if (output < 0 || output == graph_.output || !graph_.tensors[output].consumers.empty()) {
          continue;
        }
        RefuseNode(node, std::string(OperatorOf(node.kind).name),
                   "its output {} leads nowhere; accepted: nodes that lead to the graph output",
                   Quote(graph_.tensors[output].name));
      }
    }
  }

  Graph graph_;
  onnx::ModelProto model_;
  std::set<std::string> used_;  // inputs of nodes and outputs of the graph
  std::map<std::string, int> by_name_;
};

}  // namespace

Graph ParseOnnx(std::string_view bytes, const std::string& file) {
  return Reader(file).Read(bytes);
}

Graph ReadOnnx(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    RefuseInput("{}: no such file; accepted: an ONNX model", path.string());
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    RefuseInput("{}: not a regular file; accepted: an ONNX model", path.string());
  }
  if (std::filesystem::file_size(path, error) > kMaxFileBytes) {
    RefuseInput("{}: the file has more than the {} bytes that are accepted", path.string(),
                kMaxFileBytes);
  }
  std::ifstream stream(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream.is_open() || stream.bad()) RefuseInput("{}: cannot be read", path.string());
  return ParseOnnx(bytes, path.string());
}

}  // namespace vaultrain
