-- Payments. The time is NOW(), which the ordered execution sets for each call. A call that ends in SIGNAL leaves
-- nothing behind: its caller rolls it back. Codes (a cluster reports 100000 + code):
--   32001  no such account
--   32002  the account exists already
--   32003  the balance is too small
--   32004  the amount must be positive
--   32005  payer and payee are the same account
--
-- A call that is sent twice is executed once: that is the system's part, so none of these looks for it.

DELIMITER //

-- The opening balance is money paid in from outside: the branch remembers how much that was.
CREATE PROCEDURE create_account(p_branch INT, p_account INT,
                                p_owner VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
                                p_opening DECIMAL(12, 2))
MODIFIES SQL DATA
BEGIN
    IF p_opening < 0 THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 32004, MESSAGE_TEXT = 'the amount must be positive';
    END IF;
    IF EXISTS (SELECT 1 FROM account WHERE branch = p_branch AND account = p_account) THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 32002, MESSAGE_TEXT = 'the account exists already';
    END IF;
    INSERT INTO account (branch, account, owner, opening, balance, entries, opened)
    VALUES (p_branch, p_account, p_owner, p_opening, p_opening, 0, NOW());
    INSERT INTO branch (branch, issued) VALUES (p_branch, p_opening)
    ON DUPLICATE KEY UPDATE issued = issued + p_opening;
    SELECT p_branch AS branch, p_account AS account, p_opening AS balance, NOW() AS opened;
END//

CREATE PROCEDURE send_payment(p_branch INT, p_account INT, p_to_branch INT, p_to_account INT, p_amount DECIMAL(12, 2),
                              p_memo VARCHAR(80) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)
MODIFIES SQL DATA
BEGIN
    DECLARE v_balance, v_to_balance DECIMAL(15, 2);
    DECLARE v_number, v_to_number INT;

    IF p_amount <= 0 THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 32004, MESSAGE_TEXT = 'the amount must be positive';
    END IF;
    IF p_branch = p_to_branch AND p_account = p_to_account THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 32005, MESSAGE_TEXT = 'payer and payee are the same account';
    END IF;

    -- FOR UPDATE is for databases without ordered execution, where two payments could spend the same money.
    SELECT payer.balance, payer.entries, payee.balance, payee.entries
    INTO v_balance, v_number, v_to_balance, v_to_number
    FROM account AS payer, account AS payee
    WHERE payer.branch = p_branch AND payer.account = p_account
      AND payee.branch = p_to_branch AND payee.account = p_to_account
    FOR UPDATE;
    IF v_number IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 32001, MESSAGE_TEXT = 'no such account';
    END IF;
    IF v_balance < p_amount THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 32003, MESSAGE_TEXT = 'the balance is too small';
    END IF;

    UPDATE account
    SET balance = balance + IF(branch = p_branch AND account = p_account, -p_amount, p_amount), entries = entries + 1
    WHERE (branch = p_branch AND account = p_account) OR (branch = p_to_branch AND account = p_to_account);
    INSERT INTO entry (branch, account, number, amount, balance, other_branch, other_account, other_number, paid, memo)
    VALUES (p_branch, p_account, v_number + 1, -p_amount, v_balance - p_amount,
            p_to_branch, p_to_account, v_to_number + 1, NOW(), p_memo),
           (p_to_branch, p_to_account, v_to_number + 1, p_amount, v_to_balance + p_amount,
            p_branch, p_account, v_number + 1, NOW(), p_memo);

    -- The payee's balance is none of the payer's business.
    SELECT v_number + 1 AS number, p_amount AS amount, v_balance - p_amount AS balance, NOW() AS paid;
END//

CREATE PROCEDURE query_account(p_branch INT, p_account INT)
READS SQL DATA
BEGIN
    DECLARE v_owner VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    DECLARE v_balance DECIMAL(15, 2);
    DECLARE v_entries INT;
    DECLARE v_opened DATETIME;

    SELECT owner, balance, entries, opened INTO v_owner, v_balance, v_entries, v_opened
    FROM account WHERE branch = p_branch AND account = p_account;
    IF v_entries IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 32001, MESSAGE_TEXT = 'no such account';
    END IF;
    SELECT p_branch AS branch, p_account AS account, v_owner AS owner, v_balance AS balance, v_entries AS entries,
           v_opened AS opened;
END//

-- The account, and its last p_lines payments, newest first.
CREATE PROCEDURE statement(p_branch INT, p_account INT, p_lines INT)
READS SQL DATA
BEGIN
    CALL query_account(p_branch, p_account);
    SELECT number, amount, balance, other_branch, other_account, paid, memo
    FROM entry WHERE branch = p_branch AND account = p_account
    ORDER BY number DESC LIMIT p_lines;
END//

-- Over all branches the sum of `balances` is the sum of `issued`: payments only move money.
CREATE PROCEDURE branch_totals(p_branch INT)
READS SQL DATA
BEGIN
    SELECT COUNT(*) AS accounts, COALESCE(SUM(balance), 0.00) AS balances,
           COALESCE((SELECT issued FROM branch WHERE branch = p_branch), 0.00) AS issued
    FROM account WHERE branch = p_branch;
END//

DELIMITER ;
