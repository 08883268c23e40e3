//! Random messages of Temporal's API, broken ones too; and what a message names.

use std::{collections::BTreeMap, io::Write as _, sync::LazyLock};

use bytes::{BufMut as _, Bytes, BytesMut};
use fastrand::Rng;
use flate2::{Compression, write::GzEncoder};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, MethodDescriptor,
    ReflectMessage as _, Value,
};

pub(crate) const LEARNER: &str = "ada";
pub(crate) const NAMESPACE: &str = "default";
/// The service for Workflows.
pub(crate) const WORKFLOWS: &str = "temporal.api.workflowservice.v1.WorkflowService";

/// The API, decoded from the same descriptors as in the gateway, but by this test.
static API: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let descriptors = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
    DescriptorPool::decode(&descriptors[..]).expect("descriptors")
});

/// All methods of the API.
pub(crate) static METHODS: LazyLock<Vec<MethodDescriptor>> =
    LazyLock::new(|| API.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect());

/// The path by which gRPC calls a method.
pub(crate) fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// A method of the service for Workflows.
pub(crate) fn method(name: &str) -> MethodDescriptor {
    let service = API.get_service_by_name(WORKFLOWS).expect("the API has it");
    service.methods().find(|method| method.name() == name).unwrap_or_else(|| panic!("no method {name}"))
}

/// The owner of a Workflow, or of one of its runs. A learner's ids begin with the name, and nobody else has any.
pub(crate) fn owner(workflow_id: &str, run_id: &str) -> Option<String> {
    let of = |id: &str| id.split_once('.').map(|(owner, _)| owner.to_owned());
    of(run_id).or_else(|| of(workflow_id))
}

/// What a text field names that may belong to a learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Namespace,
    Workflow,
    Run,
    /// A Task Queue, or a worker's sticky one, whose name is random.
    Queue,
    Deployment,
    /// A version with its Worker Deployment, as `deployment.build`.
    Version,
}

/// What this field names.
pub(crate) fn named(field: &FieldDescriptor) -> Option<Named> {
    let message = field.parent_message();
    Some(match (message.name(), field.name()) {
        (_, "namespace") => Named::Namespace,
        (_, "workflow_id") => Named::Workflow,
        ("Execution", "business_id") => Named::Workflow,
        (_, "run_id") => Named::Run,
        ("TaskQueue", "name" | "normal_name") => Named::Queue,
        (_, "deployment_name" | "deployment_series_name" | "series_name") => Named::Deployment,
        (_, "pinned_version") => Named::Version,
        (request, "version") if request.ends_with("Request") => Named::Version,
        _ => return None,
    })
}

/// Messages whose content is the learner's own data, or that only refer to other Workflows.
const DATA: [&str; 8] =
    ["Payload", "Payloads", "Memo", "Header", "SearchAttributes", "Failure", "Link", "Callback"];

/// Whether this is such a message, or a map of them.
fn is_data(form: &MessageDescriptor) -> bool {
    let value = form.is_map_entry().then(|| form.map_entry_value_field().kind());
    match value {
        Some(Kind::Message(form)) => is_data(&form),
        _ => DATA.contains(&form.name()) || form.full_name() == "google.protobuf.Any",
    }
}

/// Everything in a message that does not belong to the learner.
pub(crate) fn foreign(message: &DynamicMessage) -> Vec<String> {
    const STICKY: i32 = 2;
    let mut found = Vec::new();
    let form = message.descriptor();
    if DATA.contains(&form.name()) {
        return found;
    }
    let kind = message.get_field_by_name("kind").and_then(|kind| kind.as_enum_number());
    let is_sticky = form.name() == "TaskQueue" && kind == Some(STICKY);
    let deployment = contract::deployment(Some(LEARNER));
    let queue = contract::task_queue(Some(LEARNER));
    let queues = [queue, lab_client::class::queue(LEARNER)];
    for (field, value) in message.fields() {
        each(value, &mut |value| match value {
            Value::Message(message) => found.extend(foreign(message)),
            Value::String(text) if !text.is_empty() => {
                let is_own = match named(&field) {
                    None => true,
                    Some(Named::Namespace) => text == NAMESPACE,
                    Some(Named::Workflow) => owner(text, "").is_none_or(|owner| owner == LEARNER),
                    Some(Named::Run) => owner("", text).is_none_or(|owner| owner == LEARNER),
                    Some(Named::Queue) => queues.contains(text) || (is_sticky && field.name() == "name"),
                    Some(Named::Deployment) => *text == deployment,
                    Some(Named::Version) => {
                        text == "__unversioned__" || text.starts_with(&format!("{deployment}."))
                    }
                };
                if !is_own {
                    found.push(format!("{} = {text:?}", field.full_name()));
                }
            }
            _ => {}
        });
    }
    found
}

/// Calls this with a value, or with each value of a list or of a map.
fn each<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a Value)) {
    match value {
        Value::List(items) => items.iter().for_each(visit),
        Value::Map(entries) => entries.values().for_each(visit),
        one => visit(one),
    }
}

/// A gRPC frame: the flag for compression, the length, the message.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(flag);
    frame.put_u32(u32::try_from(message.len()).expect("short"));
    frame.put(message);
    frame.freeze()
}

pub(crate) fn gzip(message: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(message).expect("memory");
    gzip.finish().expect("memory")
}

/// Texts in which something may be special: for JSON, for a path, for a header, or for a query.
const ODD: [&str; 14] = [
    "x",
    "ä\u{1f980}",
    "a b",
    "a/b",
    "..",
    "%2e%2E",
    "\"'`\\",
    "\r\n\t\0",
    "{{}}",
    "NaN",
    "-1",
    "+",
    "1e400",
    "__proto__",
];

/// Makes random messages.
pub(crate) struct Generator {
    pub(crate) random: Rng,
    /// How many of the names belong to somebody else.
    pub(crate) foreign: f64,
    /// Whether messages have data of the learner, such as payloads.
    pub(crate) has_data: bool,
}

impl Generator {
    /// One of several.
    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        self.random.choice(all).expect("there is one").clone()
    }

    /// Whether something that happens with this probability does.
    pub(crate) fn is(&mut self, probability: f64) -> bool {
        self.random.f64() < probability
    }

    /// A message, with what it names more often than with the rest.
    pub(crate) fn message(&mut self, form: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut message = DynamicMessage::new(form.clone());
        if form.full_name().starts_with("google.protobuf.") {
            self.well_known(&mut message);
            return message;
        }
        let mut fields: Vec<FieldDescriptor> = form.fields().collect();
        // The last one of a oneof stays.
        self.random.shuffle(&mut fields);
        for field in fields {
            let has_names = match field.kind() {
                Kind::Message(form) => form.fields().any(|field| named(&field).is_some()),
                _ => false,
            };
            let share = match named(&field) {
                Some(Named::Run) => 0.3,
                Some(_) => 0.9,
                None if ["execution", "workflow_execution", "task_queue"].contains(&field.name()) => 0.9,
                None if has_names => 0.4,
                None => 0.2,
            };
            let is_left_out = match field.kind() {
                Kind::Message(form) => depth > 5 || !self.has_data && is_data(&form),
                _ => false,
            };
            if is_left_out || !self.is(share) {
                continue;
            }
            let value = if field.is_map() {
                let Kind::Message(entry) = field.kind() else { continue };
                if entry.map_entry_key_field().kind() != Kind::String {
                    continue;
                }
                let value = self.value(&entry.map_entry_value_field(), depth);
                Value::Map([(MapKey::String(self.pick(&ODD).to_owned()), value)].into())
            } else if field.is_list() {
                Value::List((0..self.random.usize(1..3)).map(|_| self.value(&field, depth)).collect())
            } else {
                self.value(&field, depth)
            };
            message.set_field(&field, value);
        }
        message
    }

    /// Sets the fields of a time or a duration; of others none.
    fn well_known(&mut self, message: &mut DynamicMessage) {
        if ["Timestamp", "Duration"].contains(&message.descriptor().name()) {
            let seconds = self.pick(&[0, 1, 86_400, 4_000_000_000]);
            message.set_field_by_name("seconds", Value::I64(seconds));
            message.set_field_by_name("nanos", Value::I32(self.random.i32(0..1_000_000_000)));
        }
    }

    fn value(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        match field.kind() {
            Kind::Bool => Value::Bool(self.random.bool()),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                Value::I32(self.pick(&[0, 1, -1, i32::MAX, i32::MIN]))
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                Value::I64(self.pick(&[0, 1, -1, i64::MAX, i64::MIN]))
            }
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.pick(&[0, 1, u32::MAX])),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.pick(&[0, 1, u64::MAX])),
            Kind::Float => Value::F32(self.pick(&[0.0, 1.5, -1e30])),
            Kind::Double => Value::F64(self.pick(&[0.0, 1.5, 1e15, f64::MAX])),
            Kind::Bytes => Value::Bytes((0..self.random.usize(..8)).map(|_| self.random.u8(..)).collect()),
            Kind::Enum(_) => Value::EnumNumber(if self.is(0.05) { 99 } else { self.random.i32(0..5) }),
            Kind::Message(form) => Value::Message(self.message(&form, depth + 1)),
            Kind::String => Value::String(match named(field) {
                Some(named) => self.name(named),
                None if field.name().ends_with("query") => self.query(),
                None => self.pick(&ODD).to_owned(),
            }),
        }
    }

    /// A name of this kind: the learner's, or of somebody else.
    pub(crate) fn name(&mut self, named: Named) -> String {
        let is_foreign = self.is(self.foreign);
        let learner = if is_foreign { self.pick(&["bob", "ada2", "Ada", "ad"]) } else { LEARNER };
        match named {
            Named::Namespace if is_foreign => {
                self.pick(&["other", "Default", "default ", "temporal-system"]).to_owned()
            }
            Named::Namespace => NAMESPACE.to_owned(),
            Named::Workflow if self.is(0.1) => self.pick(&ODD).replace('.', "_"),
            Named::Workflow => format!("{learner}.transfer-1"),
            Named::Run => format!("{learner}.run"),
            Named::Queue if is_foreign && self.is(0.2) => contract::TASK_QUEUE.to_owned(),
            Named::Queue if self.is(0.1) => lab_client::class::queue(learner),
            Named::Queue => contract::task_queue(Some(learner)),
            Named::Deployment if is_foreign && self.is(0.2) => contract::DEPLOYMENT.to_owned(),
            Named::Deployment => contract::deployment(Some(learner)),
            Named::Version => format!("{}.1", contract::deployment(Some(learner))),
        }
    }

    /// A query of a list: mostly pieces of one, of which few are a valid query.
    pub(crate) fn query(&mut self) -> String {
        const CONDITIONS: [&str; 6] = [
            "WorkflowId != 'x'",
            "ExecutionStatus = \"Running\"",
            "WorkflowId STARTS_WITH 'bob'",
            "`WorkflowId` = 'it''s' OR `WorkflowType` != \"a\\\"b\"",
            "WorkflowId != '\\\\' OR TaskQueue = 'money-transfer-bob'",
            "StartTime > '2020-01-01T00:00:00Z'",
        ];
        const PIECES: [&str; 32] = [
            "(",
            ")",
            ") OR (",
            "'",
            "\"",
            "`",
            "\\",
            "\\'",
            "''",
            "\"\"",
            " OR ",
            " AND ",
            " NOT ",
            "--",
            "/*",
            "*/",
            "#",
            "//",
            "@",
            ";",
            "\n",
            "\0",
            "\u{a0}",
            " ORDER BY ",
            " GROUP BY ExecutionStatus",
            " group\tby ",
            " LIMIT 1",
            " UNION SELECT ",
            "x'",
            "0",
            "ä",
            " WorkflowId != 'x' ",
        ];
        let mut query = self.pick(&CONDITIONS).to_owned();
        match self.random.u8(..10) {
            0 => query.clear(),
            1 => query = format!("({query}) OR {}", self.pick(&CONDITIONS)),
            2 => query += " GROUP BY ExecutionStatus",
            // Like an attempt to leave the parentheses around the conditions.
            3 => query = format!("{query}{}{}", self.pick(&PIECES[..4]), self.pick(&CONDITIONS)),
            _ => {}
        }
        for _ in 0..self.random.usize(..4) {
            let at = query.floor_char_boundary(self.random.usize(..=query.len()));
            query.insert_str(at, self.pick(&PIECES));
        }
        if self.is(0.01) {
            query += &"x".repeat(self.random.usize(..40_000));
        }
        query
    }

    /// Breaks an encoded message, or only adds to it.
    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.random.usize(1..4) {
            let at = self.random.usize(..=bytes.len());
            let end = self.random.usize(at..=bytes.len());
            match self.random.u8(..9) {
                0 if at < bytes.len() => bytes[at] = self.random.u8(..),
                // Never in UTF-8.
                1 if at < bytes.len() => bytes[at] = 0xff,
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..end)),
                4 => bytes.extend_from_within(at..end),
                // A field that nobody knows, and a known one with another wire type.
                5 => bytes.extend([0xba, 0xbe, 0x04, 2, b'h', b'i']),
                6 => bytes.extend([(self.random.u8(1..16) << 3) | self.random.u8(..8), self.random.u8(..)]),
                // A length beyond the end.
                7 => bytes.extend([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]),
                // Groups in groups.
                _ if self.is(0.1) => bytes.extend(std::iter::repeat_n(0x23, self.random.usize(..100_000))),
                _ => {}
            }
        }
    }

    /// The body of a request with this message: mostly one frame, which is correct.
    pub(crate) fn frame(&mut self, message: &[u8]) -> (Bytes, bool) {
        let frame = framed(0, message);
        let broken = match self.random.u8(..30) {
            0..3 => return (framed(1, &gzip(message)), true),
            3 => framed(1, message),
            4 => frame.slice(..self.random.usize(..frame.len())),
            5 => [&frame[..], &frame].concat().into(),
            6 => {
                let mut frame = BytesMut::from(frame);
                frame[self.random.usize(1..5)] ^= 1 << self.random.u8(..8);
                frame.freeze()
            }
            7 => [&frame[..], b"x"].concat().into(),
            8 if self.is(0.1) => framed(1, &gzip(&vec![0; 8 * 1024 * 1024])),
            9 => {
                let mut gzip = gzip(message);
                gzip.truncate(self.random.usize(..gzip.len()));
                framed(1, &gzip)
            }
            _ => return (frame, true),
        };
        (broken, false)
    }

    /// Changes some of a JSON document, so that it may no longer be one.
    pub(crate) fn mutate_json(&mut self, json: &mut String) {
        const PIECES: [&str; 16] = [
            "null",
            "{}",
            "[]",
            "[[",
            "\"",
            "\\u0000",
            "\\ud800",
            "1e999",
            "-9223372036854775809",
            "NaN",
            ",",
            ":",
            "\"namespace\":\"other\",",
            "\"workflowExecution\":{\"workflowId\":\"bob.transfer-1\"},",
            "\"workflow_execution\":{\"workflow_id\":\"bob.transfer-1\"},",
            "\"taskQueue\":{\"name\":\"money-transfer-bob\"},",
        ];
        for _ in 0..self.random.usize(1..3) {
            let at = json.floor_char_boundary(self.random.usize(..=json.len()));
            match self.random.u8(..8) {
                0 => json.truncate(at),
                1 => json.insert_str(at, self.pick(&PIECES)),
                // Another field of the object, which may be there already.
                2..6 if json.starts_with('{') && json.len() > 2 => {
                    json.insert_str(1, self.pick(&PIECES[12..]))
                }
                6 => json.insert_str(at, &"[".repeat(self.random.usize(..500))),
                _ => {
                    *json = self.pick(&["", " ", "null", "7", "[]", "\"x\"", "{\"a\":1,\"a\":2}"]).to_owned()
                }
            }
        }
    }
}

/// How often each thing happened.
pub(crate) type Counts = BTreeMap<String, usize>;
