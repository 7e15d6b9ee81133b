/* config/toml_reader.cc: the one place where the C++ TOML library is touched.
 *
 * It parses and copies the document into the C tree of toml.h. The compiled library is used (its header-only
 * form aborts on some invalid documents). Nothing thrown leaves toml_reader_parse(). */
#define TOML_HEADER_ONLY 0
#include <toml++/toml.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

extern "C" {
#include "config/toml.h"
#include "config/toml_reader.h"
}

namespace
{

int line_of(const toml::source_region &region)
{
    return static_cast<int>(region.begin.line);
}

int column_of(const toml::source_region &region)
{
    return static_cast<int>(region.begin.column);
}

template <typename T> struct toml_value *text_value(enum toml_type type, const T &value)
{
    std::ostringstream text;
    text << value;
    const std::string s = text.str();
    struct toml_value *out = toml_new_string_n(s.data(), s.size());
    out->type = type;
    return out;
}

struct toml_value *convert(const toml::node &node);

struct toml_value *convert_table(const toml::table &table)
{
    struct entry {
        const toml::key *key;
        const toml::node *node;
    };
    std::vector<entry> entries;
    for (auto &&[key, node] : table)
        entries.push_back({&key, &node});
    /* The library sorts by name; people expect the order of the file. */
    std::stable_sort(entries.begin(), entries.end(), [](const entry &a, const entry &b) {
        return a.key->source().begin < b.key->source().begin;
    });
    struct toml_value *out = toml_new(TOML_TABLE);
    for (const entry &e : entries) {
        struct toml_value *value = convert(*e.node);
        value->line = line_of(e.key->source());
        value->column = column_of(e.key->source());
        const std::string name(e.key->str());
        toml_reader_add(out, name.data(), name.size(), value);
    }
    return out;
}

bool is_too_deep(const toml::node &node, int depth)
{
    if (depth > TOML_MAX_DEPTH)
        return true;
    if (const toml::table *table = node.as_table()) {
        for (auto &&[key, item] : *table)
            if (is_too_deep(item, depth + 1))
                return true;
    } else if (const toml::array *array = node.as_array()) {
        for (const toml::node &item : *array)
            if (is_too_deep(item, depth + 1))
                return true;
    }
    return false;
}

struct toml_value *convert_plain(const toml::node &node)
{
    struct toml_value *out = nullptr;
    switch (node.type()) {
    case toml::node_type::table:
        return convert_table(*node.as_table());
    case toml::node_type::array:
        out = toml_new(TOML_ARRAY);
        for (const toml::node &item : *node.as_array())
            toml_append(out, convert(item));
        return out;
    case toml::node_type::string: {
        const std::string &s = node.as_string()->get();
        return toml_new_string_n(s.data(), s.size());
    }
    case toml::node_type::integer:
        out = toml_new(TOML_INTEGER);
        out->as.integer = node.as_integer()->get();
        return out;
    case toml::node_type::floating_point:
        out = toml_new(TOML_FLOAT);
        out->as.number = node.as_floating_point()->get();
        return out;
    case toml::node_type::boolean:
        out = toml_new(TOML_BOOLEAN);
        out->as.boolean = node.as_boolean()->get();
        return out;
    case toml::node_type::date:
        return text_value(TOML_LOCAL_DATE, node.as_date()->get());
    case toml::node_type::time:
        return text_value(TOML_LOCAL_TIME, node.as_time()->get());
    case toml::node_type::date_time: {
        const toml::date_time &value = node.as_date_time()->get();
        return text_value(value.offset ? TOML_OFFSET_DATETIME : TOML_LOCAL_DATETIME, value);
    }
    default:
        return toml_new(TOML_TABLE);
    }
}

struct toml_value *convert(const toml::node &node)
{
    struct toml_value *out = convert_plain(node);
    out->line = line_of(node.source());
    out->column = column_of(node.source());
    return out;
}

} // namespace

extern "C" struct toml_value *toml_reader_parse(const char *text, size_t n, const char *file,
                                                struct error *err)
{
    try {
        const toml::table table = toml::parse(std::string_view(text, n));
        if (!is_too_deep(table, 0))
            return convert(table);
        error_set_at(err, ERROR_CONFIG, file, 0, 0, "nested deeper than %d levels", TOML_MAX_DEPTH);
    } catch (const toml::parse_error &e) {
        const std::string what(e.description());
        error_set_at(err, ERROR_CONFIG, file, line_of(e.source()), column_of(e.source()), "%s", what.c_str());
    } catch (const std::exception &e) {
        error_set_at(err, ERROR_CONFIG, file, 0, 0, "%s", e.what());
    } catch (...) {
        error_set_at(err, ERROR_CONFIG, file, 0, 0, "not a TOML document");
    }
    return nullptr;
}
