#include "session.hpp"

#include <algorithm>
#include <cstring>
#include <errmsg.h>

namespace bft::tpcc {

namespace {

/// The text that the server's LOAD DATA reads, through the client library's hooks.
struct Infile {
    const std::function<void(std::string&)>* next;
    std::string buffer;
    std::size_t used = 0;

    static int init(void** out, const char*, void* self) {
        *out = self;
        return 0;
    }
    static int read(void* opaque, char* to, unsigned room) {
        auto* self = static_cast<Infile*>(opaque);
        if (self->used == self->buffer.size()) {
            self->buffer.clear();
            self->used = 0;
            (*self->next)(self->buffer);
        }
        std::size_t count = std::min<std::size_t>(room, self->buffer.size() - self->used);
        std::memcpy(to, self->buffer.data() + self->used, count);
        self->used += count;
        return static_cast<int>(count);
    }
    static void end(void*) {}
    static int error(void*, char* text, unsigned room) {
        if (room > 0) text[0] = '\0';
        return CR_UNKNOWN_ERROR;
    }
};

}  // namespace

Result<Session> Session::connect(const Login& login) {
    MYSQL* handle = mysql_init(nullptr);
    if (!handle) return error(Errc::exhausted, "out of memory for a database connection");
    Session session(handle);
    unsigned local_infile = 1;
    mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &local_infile);
    mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    const char* database = login.database.empty() ? nullptr : login.database.c_str();
    if (!mysql_real_connect(handle, nullptr, login.user.c_str(), login.password.c_str(), database,
                            0, login.socket.c_str(), CLIENT_MULTI_STATEMENTS))
        return error(Errc::unavailable, "cannot connect to the database server at " + login.socket +
                                            ": " + mysql_error(handle));
    return session;
}

Error Session::failed(std::string_view sql) {
    last_error_ = {mysql_errno(handle_.get()), mysql_sqlstate(handle_.get()),
                   mysql_error(handle_.get())};
    std::string start(sql.substr(0, std::min<std::size_t>(sql.size(), 60)));
    return error(Errc::io,
                 last_error_.text + " (" + std::to_string(last_error_.number) + ") in: " + start);
}

bool Session::read_set(const std::function<void(RowView)>& row,
                       const std::function<void(std::span<const MYSQL_FIELD>)>& set_begins) {
    std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> result(mysql_use_result(handle_.get()),
                                                                    &mysql_free_result);
    if (!result) return mysql_field_count(handle_.get()) == 0;
    std::size_t columns = mysql_num_fields(result.get());
    if (set_begins) set_begins({mysql_fetch_fields(result.get()), columns});
    std::vector<std::optional<std::string_view>> view(columns);
    while (MYSQL_ROW fields = mysql_fetch_row(result.get())) {
        if (!row) continue;
        const unsigned long* lengths = mysql_fetch_lengths(result.get());
        for (std::size_t i = 0; i < columns; ++i) {
            if (fields[i])
                view[i].emplace(fields[i], lengths[i]);
            else
                view[i].reset();
        }
        row(view);
    }
    return mysql_errno(handle_.get()) == 0;
}

Result<void> Session::read(std::string_view sql, const std::function<void(RowView)>& row,
                           const std::function<void(std::span<const MYSQL_FIELD>)>& set_begins) {
    if (mysql_real_query(handle_.get(), sql.data(), sql.size()) != 0) return failed(sql);
    while (true) {
        if (!read_set(row, set_begins)) return failed(sql);
        int more = mysql_next_result(handle_.get());
        if (more < 0) return {};
        if (more > 0) return failed(sql);
    }
}

Result<void> Session::run(std::string_view sql) {
    return read(sql, {});
}

Result<std::vector<TextRow>> Session::rows(std::string_view sql) {
    std::vector<TextRow> all;
    auto done = read(sql, [&](RowView row) {
        TextRow& copy = all.emplace_back();
        for (const auto& field : row)
            copy.push_back(field ? std::optional(std::string(*field)) : std::nullopt);
    });
    if (!done) return done.error();
    return all;
}

Result<std::string> Session::value(std::string_view sql) {
    auto all = rows(sql);
    if (!all) return all.error();
    if (all->size() != 1 || all->front().size() != 1)
        return error(Errc::internal, "not one value: " + std::string(sql));
    return all->front().front().value_or("");
}

Error Session::failed(const Prepared& statement) {
    last_error_ = {mysql_stmt_errno(statement.get()), mysql_stmt_sqlstate(statement.get()),
                   mysql_stmt_error(statement.get())};
    return error(Errc::io, last_error_.text + " (" + std::to_string(last_error_.number) +
                               ") in a prepared statement");
}

Result<Session::Prepared> Session::prepare(std::string_view sql) {
    Prepared statement(mysql_stmt_init(handle_.get()));
    if (!statement) return error(Errc::exhausted, "out of memory for a prepared statement");
    if (mysql_stmt_prepare(statement.get(), sql.data(), sql.size()) != 0) return failed(statement);
    return statement;
}

Result<std::vector<TextRow>> Session::rows(Prepared& statement, std::span<const Param> params) {
    std::vector<MYSQL_BIND> in(params.size());
    for (std::size_t i = 0; i < params.size(); ++i) {
        // The library only reads what an argument's buffer points to.
        if (const auto* number = std::get_if<std::int64_t>(&params[i])) {
            in[i].buffer_type = MYSQL_TYPE_LONGLONG;
            in[i].buffer = const_cast<std::int64_t*>(number);
        } else {
            const auto& text = std::get<std::string>(params[i]);
            in[i].buffer_type = MYSQL_TYPE_STRING;
            in[i].buffer = const_cast<char*>(text.data());
            in[i].buffer_length = text.size();
        }
    }
    if (!in.empty() && mysql_stmt_bind_param(statement.get(), in.data()) != 0)
        return failed(statement);
    if (mysql_stmt_execute(statement.get()) != 0) return failed(statement);
    unsigned columns = mysql_stmt_field_count(statement.get());
    std::vector<TextRow> all;
    if (columns == 0) return all;

    constexpr std::size_t room = 1000;
    std::vector<MYSQL_BIND> out(columns);
    std::vector<unsigned long> lengths(columns);
    std::vector<char> null(columns);
    std::string buffers(columns * room, '\0');
    for (unsigned i = 0; i < columns; ++i) {
        out[i].buffer_type = MYSQL_TYPE_STRING;
        out[i].buffer = buffers.data() + i * room;
        out[i].buffer_length = room;
        out[i].length = &lengths[i];
        out[i].is_null = &null[i];
    }
    if (mysql_stmt_bind_result(statement.get(), out.data()) != 0) return failed(statement);
    int fetched = 0;
    while ((fetched = mysql_stmt_fetch(statement.get())) == 0) {
        TextRow& row = all.emplace_back(columns);
        for (unsigned i = 0; i < columns; ++i)
            if (!null[i]) row[i].emplace(buffers.data() + i * room, lengths[i]);
    }
    if (fetched == 1) return failed(statement);
    mysql_stmt_free_result(statement.get());
    if (fetched == MYSQL_DATA_TRUNCATED)
        return error(Errc::internal, "a column is longer than 1000 bytes");
    return all;
}

Result<void> Session::load(std::string_view sql, const std::function<void(std::string&)>& next) {
    Infile infile{&next, {}, 0};
    mysql_set_local_infile_handler(handle_.get(), Infile::init, Infile::read, Infile::end,
                                   Infile::error, &infile);
    auto done = run(sql);
    mysql_set_local_infile_default(handle_.get());
    return done;
}

std::string Session::quoted(std::string_view text) const {
    std::string out(text.size() * 2 + 1, '\0');
    unsigned long length = mysql_real_escape_string(handle_.get(), out.data(), text.data(),
                                                    static_cast<unsigned long>(text.size()));
    out.resize(length);
    return "'" + out + "'";
}

}  // namespace bft::tpcc
