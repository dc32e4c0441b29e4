//! Compiles the tree to a condition on `contacts`.

use campaigns_analytics::{self as analytics, ContactNumber, ContactTime};
use campaigns_entity::contact::{self, Column};
use campaigns_scope::{ConditionMemory, Dialect, Exhausted, JsonKind, Scope, Scoped, Sql};
use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{
    ColumnTrait,
    sea_query::{Expr, ExprTrait},
};
use serde_json::Number;

use crate::{
    fields::{Company, Source},
    operators::Test,
    rules::{Combinator, Node, Operand, Rule, Rules, Time, Value},
    whole::Whole,
};

const METADATA: &str = "contacts.metadata";

/// The start of the year 1. The databases represent earlier times differently.
const EARLIEST: DateTime<Utc> = match DateTime::from_timestamp(-62_135_596_800, 0) {
    Some(time) => time,
    None => DateTime::UNIX_EPOCH,
};

/// A column of the companies of each contact.
macro_rules! of_companies {
    ($column:literal) => {
        Sql::new(concat!(
            "SELECT contact_companies.contact_id AS id, companies.",
            $column,
            " AS value FROM contact_companies
             JOIN companies ON companies.id = contact_companies.company_id"
        ))
    };
}

const COMPANY_NAME: Sql = of_companies!("name");
const COMPANY_DOMAIN: Sql = of_companies!("domain");
const COMPANY_INDUSTRY: Sql = of_companies!("industry");
const COMPANY_SIZE: Sql = of_companies!("size");

impl Rules {
    /// The contacts that the rules select. Relative times are relative to `now`. Each rule is drawn
    /// from the operation's budget when it is compiled.
    ///
    /// # Errors
    /// If a budget is exhausted.
    pub fn select(
        &self,
        scope: &Scope,
        now: DateTime<Utc>,
    ) -> Result<Scoped<contact::Entity>, Exhausted> {
        let compiler = Compiler { scope, dialect: scope.dialect(), now: now.trunc_subsecs(6) };
        let mut memory = scope.condition_memory();
        let condition = compiler.node(&self.0, &mut memory)?;
        Ok(scope.find().filter(condition).holding(memory))
    }
}

/// A test of a number of a contact.
struct NumberTest {
    number: ContactNumber,
    whole: Whole,
    is_negated: bool,
}

impl NumberTest {
    /// The test of a rule, if it is one of a number.
    fn of(rule: &Rule) -> Option<Self> {
        let Rule { field, operator, operand, .. } = rule;
        match (field.source, operand) {
            (Source::Number(number), _) => Some(Self {
                number,
                whole: Whole::of(operator.test, operand),
                is_negated: operator.is_negative,
            }),
            (Source::Any(number), Operand::One(Value::Boolean(is_positive))) => Some(Self {
                number,
                whole: Whole::Range(1, i64::MAX),
                is_negated: *is_positive == operator.is_negative,
            }),
            _ => None,
        }
    }
}

struct Compiler<'a> {
    scope: &'a Scope,
    dialect: Dialect,
    now: DateTime<Utc>,
}

impl Compiler<'_> {
    fn node(&self, node: &Node, memory: &mut ConditionMemory) -> Result<Expr, Exhausted> {
        Ok(match node {
            Node::Rule(rule) => match NumberTest::of(rule) {
                Some(test) => self.number(Combinator::And, &[test], memory)?,
                None => self.negatable(rule, memory)?,
            },
            Node::Group { joined_by, is_negated, nodes } => {
                let nodes = self.group(*joined_by, nodes, memory)?;
                let joined = joined(*joined_by, nodes).unwrap_or_else(|| Expr::val(true));
                if *is_negated { self.dialect.not(joined) } else { joined }
            }
        })
    }

    /// The conditions of the nodes of a group. The tests of one number are one condition, so that the
    /// database computes the numbers of all contacts once.
    fn group(
        &self,
        joined_by: Combinator,
        nodes: &[Node],
        memory: &mut ConditionMemory,
    ) -> Result<Vec<Expr>, Exhausted> {
        let mut conditions = Vec::with_capacity(nodes.len());
        let mut numbers: Vec<Vec<NumberTest>> = Vec::new();
        for node in nodes {
            let test = match node {
                Node::Rule(rule) => NumberTest::of(rule),
                Node::Group { .. } => None,
            };
            let Some(test) = test else {
                conditions.push(self.node(node, memory)?);
                continue;
            };
            match numbers.iter_mut().find(|tests| tests[0].number == test.number) {
                Some(tests) => tests.push(test),
                None => numbers.push(vec![test]),
            }
        }
        for tests in numbers {
            conditions.push(self.number(joined_by, &tests, memory)?);
        }
        Ok(conditions)
    }

    /// The condition of a rule, with its operator.
    fn negatable(&self, rule: &Rule, memory: &mut ConditionMemory) -> Result<Expr, Exhausted> {
        let positive = self.rule(rule);
        memory.draw(&positive)?;
        Ok(match (rule.operator.is_negative, rule.field.source) {
            (false, _) => positive,
            (true, Source::Column(_) | Source::Metadata) => self.dialect.not(positive),
            // set membership is never null, and PostgreSQL can plan its plain negation as a join
            (true, _) => positive.not(),
        })
    }

    /// The condition of tests of one number, at least one.
    fn number(
        &self,
        joined_by: Combinator,
        tests: &[NumberTest],
        memory: &mut ConditionMemory,
    ) -> Result<Expr, Exhausted> {
        let wanted = |own: Expr| {
            let tests = tests.iter().map(|NumberTest { whole, is_negated, .. }| {
                let test = whole_number(self.dialect, own.clone(), whole);
                if *is_negated { self.dialect.not(test) } else { test }
            });
            joined(joined_by, tests.collect()).unwrap_or_else(|| Expr::val(false))
        };
        let mut selects_0 = tests.iter().map(|test| test.whole.has(0) != test.is_negated);
        let selects_0 = match joined_by {
            Combinator::And => selects_0.all(|selects| selects),
            Combinator::Or => selects_0.any(|selects| selects),
        };
        let number = tests[0].number;
        let condition = if selects_0 {
            // contacts without counts have 0, so the condition selects the complement
            let others = |own| self.dialect.not(wanted(own));
            analytics::with_number(self.scope, number, others).not()
        } else {
            analytics::with_number(self.scope, number, wanted)
        };
        memory.draw(&condition)?;
        Ok(condition)
    }

    /// The condition of the positive operator.
    fn rule(&self, rule: &Rule) -> Expr {
        let Rule { field, keys, operator, operand } = rule;
        let (scope, test) = (self.scope, operator.test);
        let on_value = |own: Expr| self.compare(own, test, operand);
        match field.source {
            Source::Column(Column::Type) => contact_type(self.dialect, operand),
            Source::Column(column) => on_value(Expr::col(column.as_column_ref())),
            Source::Metadata => self.metadata(keys, test, operand),
            Source::Company(column) => {
                let sql = match column {
                    Company::Name => COMPANY_NAME,
                    Company::Domain => COMPANY_DOMAIN,
                    Company::Industry => COMPANY_INDUSTRY,
                    Company::Size => COMPANY_SIZE,
                };
                scope.among(Column::Id, sql, on_value)
            }
            Source::Time(time) => self.last(time, test, operand),
            // numbers are compiled with those of their group, and are never null
            Source::Number(_) | Source::Any(_) => Expr::val(true),
            Source::Campaign(relation) => analytics::with_campaign(scope, relation, on_value),
            Source::ClickedUrl => analytics::with_clicked_link(scope, on_value),
        }
    }

    /// A condition on a metadata value of the operand's type.
    fn metadata(&self, keys: &[String], test: Test, operand: &Operand) -> Expr {
        let dialect = self.dialect;
        let compared = |value: &Value, operand: &Operand| {
            let kind = match value {
                Value::Number(_) => JsonKind::Number,
                Value::Boolean(_) => JsonKind::Boolean,
                _ => JsonKind::Text,
            };
            self.compare(dialect.json_value(METADATA, keys, kind), test, operand)
        };
        match operand {
            Operand::Nothing => dialect.json_is_present(METADATA, keys),
            Operand::One(value) | Operand::Range(value, _) => compared(value, operand),
            Operand::Many(values) => {
                let (numbers, texts): (Vec<_>, Vec<_>) =
                    values.iter().cloned().partition(|value| matches!(value, Value::Number(_)));
                let of_types = [numbers, texts].into_iter().filter_map(|values| {
                    let first = values.first()?.clone();
                    Some(compared(&first, &Operand::Many(values)))
                });
                joined(Combinator::Or, of_types.collect()).unwrap_or_else(|| Expr::val(false))
            }
        }
    }

    /// A condition on the last time of an event. The last time is after another one if and only if any
    /// event is, for which there is an index on the times of events.
    fn last(&self, time: ContactTime, test: Test, operand: &Operand) -> Expr {
        let scope = self.scope;
        let after = |value: &Value| {
            analytics::with_time_after(scope, time, |own| own.gt(self.bound(value)))
        };
        let from = |value: &Value| {
            analytics::with_time_after(scope, time, |own| own.gte(self.bound(value)))
        };
        match (test, operand) {
            (Test::Greater, Operand::One(value)) => after(value),
            (Test::GreaterOrEqual, Operand::One(value)) => from(value),
            (Test::Less, Operand::One(value)) => {
                analytics::has_time(scope, time).and(from(value).not())
            }
            (Test::LessOrEqual, Operand::One(value)) => {
                analytics::has_time(scope, time).and(after(value).not())
            }
            (_, Operand::Range(first, last)) => from(first).and(after(last).not()),
            (_, Operand::Nothing) => analytics::has_time(scope, time),
            _ => analytics::with_time(scope, time, |own| self.compare(own, test, operand)),
        }
    }

    /// The condition on a value. If the value is null, the condition is null or false.
    fn compare(&self, own: Expr, test: Test, operand: &Operand) -> Expr {
        match operand {
            Operand::Nothing => own.is_not_null(),
            Operand::Many(values) => self.one_of(own, values),
            Operand::Range(from, to) => {
                let (from, to) = (self.bound(from), self.bound(to));
                self.ordered(own, operand).between(from, to)
            }
            Operand::One(Value::Text(part)) if test == Test::Contains => {
                self.dialect.contains(own, part)
            }
            Operand::One(Value::Text(part)) if test == Test::BeginsWith => {
                self.dialect.starts_with(own, part)
            }
            Operand::One(Value::Text(part)) if test == Test::EndsWith => {
                self.dialect.ends_with(own, part)
            }
            Operand::One(Value::Text(text)) if test == Test::Equal => {
                self.dialect.is_text(own, text)
            }
            Operand::One(value) => {
                let bound = self.bound(value);
                match test {
                    Test::Less => self.ordered(own, operand).lt(bound),
                    Test::LessOrEqual => self.ordered(own, operand).lte(bound),
                    Test::Greater => self.ordered(own, operand).gt(bound),
                    Test::GreaterOrEqual => self.ordered(own, operand).gte(bound),
                    _ => own.eq(bound),
                }
            }
        }
    }

    /// The condition that a value is one of these, which have the same type.
    fn one_of(&self, own: Expr, values: &[Value]) -> Expr {
        let number = |value: &Value| match value {
            Value::Number(number) => Some(number.clone()),
            _ => None,
        };
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        let numbers: Vec<Number> = values.iter().filter_map(number).collect();
        let texts: Vec<String> = values.iter().filter_map(text).collect();
        if !texts.is_empty() {
            self.dialect.is_text_in(own, texts)
        } else if numbers.is_empty() {
            self.dialect.is_in(own, values.iter().filter_map(|value| self.plain(value)))
        } else {
            self.dialect.is_json_number_in(own, numbers)
        }
    }

    /// The expression that is ordered.
    fn ordered(&self, own: Expr, operand: &Operand) -> Expr {
        match operand {
            Operand::One(Value::Text(_)) | Operand::Range(Value::Text(_), _) => {
                self.dialect.by_code_point(own)
            }
            _ => own,
        }
    }

    fn bound(&self, value: &Value) -> Expr {
        match value {
            Value::Number(number) => self.dialect.json_number(number),
            other => self.plain(other).map_or_else(|| Expr::val(false), Expr::val),
        }
    }

    /// A value that is bound unchanged: any except numbers.
    fn plain(&self, value: &Value) -> Option<sea_orm::Value> {
        Some(match value {
            Value::Number(_) => return None,
            Value::Text(text) => text.clone().into(),
            Value::Boolean(value) => (*value).into(),
            Value::Id(id) => (*id).into(),
            Value::Type(of) => (*of).into(),
            Value::Time(Time::At(time)) => (*time).into(),
            Value::Time(Time::Ago(ago)) => {
                let time = self.now.checked_sub_signed(*ago).unwrap_or(EARLIEST);
                std::cmp::max(time, EARLIEST).into()
            }
        })
    }
}

fn contact_type(dialect: Dialect, operand: &Operand) -> Expr {
    let of = |value: &Value| match value {
        Value::Type(of) => Some(*of),
        _ => None,
    };
    let types: Vec<_> = match operand {
        Operand::Nothing => return Column::Type.is_not_null(),
        Operand::One(value) => of(value).into_iter().collect(),
        Operand::Many(values) => values.iter().filter_map(of).collect(),
        Operand::Range(..) => Vec::new(),
    };
    dialect.is_one_of(Column::Type, types)
}

fn whole_number(dialect: Dialect, own: Expr, whole: &Whole) -> Expr {
    match whole {
        Whole::Range(first, last) => own.between(*first, *last),
        Whole::In(numbers) => dialect.is_in(own, numbers.iter().copied()),
    }
}

/// Joins conditions as a balanced tree. A chain would be as deep as it is long, and SQLite allows 1,000
/// levels.
fn joined(by: Combinator, mut conditions: Vec<Expr>) -> Option<Expr> {
    if conditions.len() <= 1 {
        return conditions.pop();
    }
    let second = conditions.split_off(conditions.len() / 2);
    let (first, second) = (joined(by, conditions)?, joined(by, second)?);
    Some(match by {
        Combinator::And => first.and(second),
        Combinator::Or => first.or(second),
    })
}
