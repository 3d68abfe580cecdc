// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "report/documents.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "vaultrain/error.h"
#include "vaultrain/output.h"

namespace vaultrain::report {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOurs = "vaultrain.";
constexpr std::string_view kVersion = "1";

std::vector<fs::path> JsonFiles(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    RefuseInput("{}: is no folder; accepted: one that holds what commands wrote with --json",
                folder.string());
  }
  std::vector<fs::path> files;
  fs::directory_iterator entries(folder, error);
  if (error) RefuseInput("{}: cannot be read: {}", folder.string(), error.message());
  for (const fs::directory_entry& entry : entries) {
    if (entry.path().extension() == ".json" && entry.is_regular_file(error))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Document ReadDocument(const fs::path& path) {
  const std::string file = path.string();
  Document document;
  document.file = path.filename().string();
  Json content;
  try {
    content = Json::parse(ReadFile(path));
  } catch (const Json::parse_error& error) {
    // The library's own text begins with its name and number of the error.
    const std::string text = error.what();
    const size_t message = text.find("] ");
    RefuseInput("{}: no JSON: {}", file,
                message == std::string::npos ? text : text.substr(message + 2));
  }
  if (!content.is_object() || !content.contains("schema") || !content["schema"].is_string())
    return document;
  const std::string schema = content["schema"].get<std::string>();
  if (schema.rfind(kOurs, 0) != 0) return document;
  document.schema = schema;
  const size_t slash = std::min(schema.find('/'), schema.size());
  const std::string command = schema.substr(kOurs.size(), slash - kOurs.size());
  const std::vector<std::string> drawn = DrawnCommands();
  if (std::find(drawn.begin(), drawn.end(), command) == drawn.end()) return document;
  const std::string accepted = fmt::format("{}{}/{}", kOurs, command, kVersion);
  if (schema != accepted) RefuseInput("{}: schema '{}'; accepted: '{}'", file, schema, accepted);
  CheckDocument(content, command, file);
  document.content = std::move(content);
  return document;
}

}  // namespace

std::vector<Document> ReadDocuments(const fs::path& folder) {
  std::vector<Document> documents;
  bool any = false;
  for (const fs::path& path : JsonFiles(folder)) {
    documents.push_back(ReadDocument(path));
    any = any || !documents.back().content.is_null();
  }
  if (!any) {
    RefuseInput("{}: nothing to draw; accepted: a folder with what {} wrote with --json",
                folder.string(), fmt::join(DrawnCommands(), ", "));
  }
  return documents;
}

}  // namespace vaultrain::report
