// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The JSON files that the report is made of, read and checked.

#ifndef VAULTRAIN_SRC_REPORT_DOCUMENTS_H_
#define VAULTRAIN_SRC_REPORT_DOCUMENTS_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vaultrain::report {

// Keys in the order of the file.
using Json = nlohmann::ordered_json;

struct Document {
  std::string file;    // name in the folder
  std::string schema;  // e.g. "vaultrain.train/1"; empty: not ours
  Json content;        // null if the report does not draw this schema
};

// Every .json file of the folder, by name. Throws Error(kUnusableInput) as MakeReportPage does.
std::vector<Document> ReadDocuments(const std::filesystem::path& folder);

// Throws Error(kUnusableInput) that begins with `file` and names the key if one that the page
// needs is absent or of another type. `command` is the schema's, e.g. "train".
void CheckDocument(const Json& content, const std::string& command, const std::string& file);

// The commands whose JSON is drawn.
std::vector<std::string> DrawnCommands();

}  // namespace vaultrain::report

#endif  // VAULTRAIN_SRC_REPORT_DOCUMENTS_H_
