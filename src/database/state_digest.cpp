#include "database/state_digest.hpp"

#include "base/sha256.hpp"

#include <openssl/evp.h>

#include <array>
#include <memory>

namespace bft::database {
namespace {

/// SHA-256 over more than fits into memory.
class Hash {
public:
    Hash() : context_(EVP_MD_CTX_new()) {
        EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
    }
    void field(const char* data, std::size_t size) {
        std::array<std::uint8_t, 9> head{1};
        for (std::size_t i = 0; i < 8; ++i)
            head[1 + i] =
                static_cast<std::uint8_t>(static_cast<std::uint64_t>(size) >> (56 - 8 * i));
        EVP_DigestUpdate(context_.get(), head.data(), head.size());
        EVP_DigestUpdate(context_.get(), data, size);
    }
    void null() {
        std::uint8_t zero = 0;
        EVP_DigestUpdate(context_.get(), &zero, 1);
    }
    Digest finish() {
        Digest digest;
        EVP_DigestFinal_ex(context_.get(), digest.bytes.data(), nullptr);
        return digest;
    }

private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

std::string list_of(const std::vector<TextRow>& rows) {
    std::string list;
    for (const auto& row : rows)
        list += (list.empty() ? "" : ",") + quote_name(row[0].value_or(""));
    return list;
}

Result<TableDigest> scan(Session& session, const std::string& table) {
    auto columns = session.query(
        "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE()"
        " AND table_name=" +
        quote_text(table) + " ORDER BY ordinal_position");
    if (!columns) return columns.error();
    auto keys = session.query(
        "SELECT column_name FROM information_schema.statistics WHERE table_schema=DATABASE()"
        " AND table_name=" +
        quote_text(table) + " AND index_name='PRIMARY' ORDER BY seq_in_index");
    if (!keys) return keys.error();
    if (keys->empty())
        return error(Errc::refused,
                     "table '" + table + "' has no primary key: its rows have no order");

    Hash hash;
    TableDigest out;
    for (const auto& column : *columns) {
        const auto& name = *column[0];
        hash.field(name.data(), name.size());
    }
    session.send("SELECT " + list_of(*columns) + " FROM " + quote_name(table) + " ORDER BY " +
                 list_of(*keys));
    bool complete = session.next() == Session::Part::result_set &&
                    session.read_rows([&](MYSQL_ROW row, const unsigned long* lengths) {
                        for (std::size_t i = 0; i < columns->size(); ++i) {
                            if (row[i] == nullptr)
                                hash.null();
                            else
                                hash.field(row[i], lengths[i]);
                        }
                        ++out.rows;
                    });
    if (!complete)
        return error(Errc::unavailable,
                     "scan of table '" + table + "' broke off: " + session.last_error().text);
    while (session.next() == Session::Part::ok) {
    }
    out.digest = hash.finish();
    return out;
}

}  // namespace

Digest StateDigest::root() const {
    Digester digester("state");
    for (const auto& [name, table] : tables)
        digester.text(name).u64(table.rows).digest(table.digest);
    return digester.finish();
}

std::vector<std::string> StateDigest::differences(const StateDigest& other) const {
    std::vector<std::string> names;
    for (const auto& [name, table] : tables) {
        auto it = other.tables.find(name);
        if (it == other.tables.end() || it->second != table) names.push_back(name);
    }
    for (const auto& [name, table] : other.tables)
        if (!tables.contains(name)) names.push_back(name);
    return names;
}

Result<StateDigest> state_digest(Session& session) {
    auto begun = session.run(
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
    if (!begun) return begun.error();
    auto tables = session.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE()"
        " AND table_type='BASE TABLE' AND table_name<>'cbft_meta' ORDER BY table_name");
    if (!tables) return tables.error();
    StateDigest out;
    for (const auto& row : *tables) {
        auto table = scan(session, *row[0]);
        if (!table) return table.error();
        out.tables.emplace(*row[0], *table);
    }
    if (auto ended = session.run("COMMIT"); !ended) return ended.error();
    return out;
}

}  // namespace bft::database
