// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/networks.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <set>

#include "network/onnx_proto.h"
#include "vaultrain/error.h"
#include "vaultrain/graph.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// A float tensor in the graph's interface; dimension 0 stands for the batch "N".
void Declare(onnx::ValueInfoProto* info, const std::string& name, const std::vector<int>& dims) {
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

}  // namespace

std::string MakeFullyConnected(const std::string& name, const std::vector<int>& widths) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("vaultrain");
  onnx::OperatorSetIdProto* opset = model.add_opset_import();
  opset->set_domain("");
  opset->set_version(kMaxOpset);
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name(name);
  Declare(graph->add_input(), "x", {0, widths[0]});
  std::string from = "x";
  for (size_t i = 1; i < widths.size(); ++i) {
    bool last = i + 1 == widths.size();
    std::string layer = "fc" + std::to_string(i);
    Declare(graph->add_input(), layer + ".W", {widths[i], widths[i - 1]});
    Declare(graph->add_input(), layer + ".b", {widths[i]});
    onnx::NodeProto* gemm = graph->add_node();
    gemm->set_name(layer);
    gemm->set_op_type("Gemm");
    for (const std::string& input : {from, layer + ".W", layer + ".b"}) gemm->add_input(input);
    from = last ? "logits" : layer + ".z";
    gemm->add_output(from);
    onnx::AttributeProto* trans_b = gemm->add_attribute();
    trans_b->set_name("transB");
    trans_b->set_type(onnx::AttributeProto::INT);
    trans_b->set_i(1);
    if (last) continue;
    onnx::NodeProto* relu = graph->add_node();
    relu->set_name("relu" + std::to_string(i));
    relu->set_op_type("Relu");
    relu->add_input(from);
    from = layer + ".y";
    relu->add_output(from);
  }
  Declare(graph->add_output(), "logits", {0, widths.back()});

  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    model.SerializeToCodedStream(&coded);
  }
  return bytes;
}

std::vector<NetworkFile> MakeShippedNetworks() {
  return {
      {"mlp.onnx", MakeFullyConnected("mlp", {784, 128, 10})},
      {"mlp-wide.onnx", MakeFullyConnected("mlp-wide", {784, 1024, 512, 10})},
      {"tiny.onnx", MakeFullyConnected("tiny", {64, 32, 10})},
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
