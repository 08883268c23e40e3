//! Checks a service's responses against its `openapi.json`.

use std::collections::BTreeSet;

use serde_json::Value;

/// The HTTP methods of operations.
pub const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];

/// A description of a service.
pub struct OpenApi(Value);

/// An operation of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The method, in upper case.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: String,
    /// The statuses of its responses.
    pub statuses: BTreeSet<u16>,
}

impl OpenApi {
    /// Parses a description.
    ///
    /// # Panics
    /// It is not JSON.
    pub fn parse(text: &str) -> OpenApi {
        OpenApi(serde_json::from_str(text).expect("openapi.json is JSON"))
    }

    /// The whole of it.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// All paths, with their parameters in braces.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0["paths"].as_object().expect("paths").keys().map(String::as_str)
    }

    /// Every operation.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for path in self.paths() {
            for method in METHODS {
                let responses = &self.0["paths"][path][method.to_lowercase()]["responses"];
                if let Some(responses) = responses.as_object() {
                    let statuses = responses.keys().map(|status| status.parse().expect("a status"));
                    operations.push(Operation {
                        method,
                        path: path.to_owned(),
                        statuses: statuses.collect(),
                    });
                }
            }
        }
        operations
    }

    /// The described methods of a path.
    pub fn methods(&self, path: &str) -> BTreeSet<&'static str> {
        let operations = self.operations().into_iter();
        operations.filter(|operation| operation.path == path).map(|operation| operation.method).collect()
    }

    /// Checks a JSON response against the description.
    ///
    /// # Panics
    /// It does not match; or it is not described, and not one of the errors that every path may return.
    pub fn check(&self, method: &str, path: &str, status: u16, json: &Value) {
        let context = format!("{method} {path}: {status}");
        let Some(operation) = self.operation(method, path) else {
            assert!(matches!(status, 403 | 404 | 405 | 421), "{context} is not in openapi.json");
            assert!(json["error"].is_string(), "{context}: {json}");
            return;
        };
        let response = self.resolve(&operation["responses"][status.to_string()]);
        assert!(response.is_object(), "{context} is not in openapi.json: {json}");
        self.check_schema(&context, &response["content"]["application/json"]["schema"], json);
    }

    /// Checks a value against a schema of the description, by name.
    ///
    /// # Panics
    /// It does not match, or the schema does not exist.
    pub fn check_as(&self, schema: &str, json: &Value) {
        let found = &self.0["components"]["schemas"][schema];
        assert!(found.is_object(), "there is no schema {schema}");
        self.check_schema(schema, found, json);
    }

    /// The operation of a request.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap_or_default();
        let matches = |template: &str| {
            template.split('/').count() == path.split('/').count()
                && template
                    .split('/')
                    .zip(path.split('/'))
                    .all(|(template, part)| template.starts_with('{') || template == part)
        };
        let template = self.paths().find(|template| matches(template))?;
        // In upper case: `pUT` is another method than PUT.
        let method = METHODS.into_iter().find(|known| *known == method)?;
        self.0["paths"][template].get(method.to_lowercase())
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(&reference[1..]).expect("the reference resolves"),
            None => value,
        }
    }

    /// The part of JSON Schema that the responses use.
    fn check_schema(&self, context: &str, schema: &Value, json: &Value) {
        self.check_parts(context, schema, json);
        // An empty schema describes no properties.
        let described = self.properties(schema);
        if !described.is_empty() {
            for name in json.as_object().into_iter().flatten().map(|(name, _)| name) {
                assert!(described.contains(name.as_str()), "{context}: {name} is not in openapi.json");
            }
        }
    }

    /// All properties of a schema, including those of its parts.
    fn properties<'a>(&'a self, schema: &'a Value) -> BTreeSet<&'a str> {
        let schema = self.resolve(schema);
        let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let parts = schema["allOf"].as_array().into_iter().flatten();
        own.chain(parts.flat_map(|part| self.properties(part))).collect()
    }

    fn check_parts(&self, context: &str, schema: &Value, json: &Value) {
        let schema = self.resolve(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check_parts(context, part, json);
        }
        if let Some(either) = schema["oneOf"].as_array() {
            // One alternative is `null`, the other is the value's schema.
            let (nulls, others): (Vec<_>, Vec<_>) = either.iter().partition(|one| one["type"] == "null");
            assert!(nulls.len() == 1 && others.len() == 1, "{context}: {schema} is more than nobody knows");
            if !json.is_null() {
                self.check_schema(context, others[0], json);
            }
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(json.get(name.as_str().expect("a name")).is_some(), "{context}: no {name}: {json}");
        }
        let is = |kind: &Value| match kind.as_str() {
            Some("object") => json.is_object(),
            Some("array") => json.is_array(),
            Some("string") => json.is_string(),
            Some("boolean") => json.is_boolean(),
            Some("null") => json.is_null(),
            Some("integer") => json.is_u64(),
            Some("number") => json.is_number(),
            _ => panic!("{context}: {schema} has an unknown type"),
        };
        let right = match &schema["type"] {
            Value::Null => {
                schema.get("const").is_none_or(|value| value == json)
                    && schema["enum"].as_array().is_none_or(|values| values.contains(json))
            }
            Value::Array(kinds) => kinds.iter().any(is),
            kind => is(kind),
        };
        let in_range = json.as_f64().is_none_or(|number| {
            schema["minimum"].as_f64().is_none_or(|least| number >= least)
                && schema["maximum"].as_f64().is_none_or(|most| number <= most)
        });
        assert!(right && in_range, "{context}: {json} is not {schema}");
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = json.get(name) {
                self.check_schema(context, property, value);
            }
        }
        if let Some(others) = schema.get("additionalProperties") {
            for value in json.as_object().into_iter().flatten().map(|(_, value)| value) {
                self.check_schema(context, others, value);
            }
        }
        if let Some(of_items) = schema.get("items") {
            for item in json.as_array().into_iter().flatten() {
                self.check_schema(context, of_items, item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use serde_json::json;

    use super::*;

    /// Whether a response of an example service passes.
    fn passes(method: &str, path: &str, status: u16, json: &Value) -> bool {
        let item =
            json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "number" } } });
        let more =
            json!({ "type": "object", "required": ["b"], "properties": { "b": { "type": "string" } } });
        let list =
            json!({ "type": "array", "items": { "allOf": [{ "$ref": "#/components/schemas/Item" }, more] } });
        let maybe = json!({ "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Item" }] });
        let answer =
            |schema: Value| json!({ "200": { "content": { "application/json": { "schema": schema } } } });
        let api = OpenApi(json!({
            "paths": {
                "/list": { "get": { "responses": answer(list) } },
                "/maybe/{id}": { "post": { "responses": answer(maybe) } },
            },
            "components": { "schemas": { "Item": item } },
        }));
        panic::catch_unwind(|| api.check(method, path, status, json)).is_ok()
    }

    #[test]
    fn a_described_response_passes_and_any_other_panics() {
        assert!(passes("GET", "/list?x=1", 200, &json!([{ "a": 1, "b": "x" }])));
        for wrong in
            [json!([{ "a": 1 }]), json!([{ "a": "1", "b": "x" }]), json!([{ "a": 1, "b": "x", "c": 1 }])]
        {
            assert!(!passes("GET", "/list", 200, &wrong), "{wrong}");
        }
        assert!(passes("POST", "/maybe/1", 200, &json!(null)));
        assert!(passes("POST", "/maybe/1", 200, &json!({ "a": 1 })));
        assert!(!passes("POST", "/maybe/1", 200, &json!({ "a": 1, "b": "x" })));
        assert!(!passes("POST", "/maybe/1", 500, &json!(null)), "the status is not described");
        assert!(passes("GET", "/elsewhere", 404, &json!({ "error": "no" })));
        assert!(!passes("GET", "/elsewhere", 404, &json!({})), "no sentence");
        assert!(!passes("GET", "/elsewhere", 200, &json!({})));
    }
}
