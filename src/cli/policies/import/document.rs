//! What is read of an OpenAPI 3 document; all other members are passed over.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

/// The document (OpenAPI 3.1.1 section 4.8.1).
#[derive(Deserialize)]
#[serde(expecting = "an OpenAPI document")]
pub(super) struct OpenApiDocument {
    pub(super) openapi: Option<DocumentText>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) info: Info,
    pub(super) servers: Option<Vec<Server>>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) paths: Paths,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) components: Components,
    pub(super) security: Option<Vec<Option<SecurityRequirement>>>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) tags: Vec<Tag>,
}

/// What the API is called.
#[derive(Default, Deserialize)]
#[serde(expecting = "the `info` of a document")]
pub(super) struct Info {
    pub(super) title: Option<DocumentText>,
    pub(super) version: Option<DocumentText>,
}

/// Where the API is.
#[derive(Deserialize)]
#[serde(expecting = "a server")]
pub(super) struct Server {
    pub(super) url: DocumentText,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) variables: NamedObjects<Variable>,
}

/// A part of a server's address.
#[derive(Deserialize)]
#[serde(expecting = "a variable of a server")]
pub(super) struct Variable {
    pub(super) default: Option<DocumentText>,
}

/// The operations by path, in the order of the paths.
#[derive(Default)]
pub(super) struct Paths(pub(super) BTreeMap<String, PathItem>);

/// The operations of one path (section 4.8.9).
#[derive(Default)]
pub(super) struct PathItem {
    pub(super) reference: Option<String>,
    pub(super) servers: Option<Vec<Server>>,
    /// By method, in upper case.
    pub(super) operations: Vec<(String, OperationObject)>,
    /// By what would be a method in lower case.
    pub(super) miswritten: Vec<(String, OperationObject)>,
}

/// One operation (section 4.8.10).
#[derive(Default, Deserialize)]
#[serde(expecting = "an operation")]
pub(super) struct OperationObject {
    /// Nothing that OpenAPI knows; what stands there is not here.
    #[serde(rename = "$ref")]
    pub(super) reference: Option<DocumentText>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) tags: Vec<DocumentText>,
    #[serde(rename = "operationId")]
    pub(super) id: Option<DocumentText>,
    pub(super) summary: Option<DocumentText>,
    pub(super) description: Option<DocumentText>,
    pub(super) security: Option<Vec<Option<SecurityRequirement>>>,
    pub(super) servers: Option<Vec<Server>>,
}

/// Security schemes that are asked for together, each with its scopes (section 4.8.30).
pub(super) type SecurityRequirement = NamedObjects<Option<Vec<DocumentText>>>;

/// What other parts refer to.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the `components` of a document")]
pub(super) struct Components {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) security_schemes: NamedObjects<Scheme>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) path_items: NamedObjects<PathItem>,
}

/// A security scheme.
#[derive(Deserialize)]
#[serde(expecting = "a security scheme")]
pub(super) struct Scheme {
    pub(super) description: Option<DocumentText>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) flows: Flows,
}

/// The ways to a token (section 4.8.28).
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "the `flows` of a security scheme")]
pub(super) struct Flows {
    implicit: Option<Flow>,
    password: Option<Flow>,
    client_credentials: Option<Flow>,
    authorization_code: Option<Flow>,
    device_authorization: Option<Flow>,
}

/// The scopes of one way, with what each allows in words.
#[derive(Deserialize)]
#[serde(expecting = "a flow of a security scheme")]
struct Flow {
    #[serde(default, deserialize_with = "or_default")]
    scopes: NamedObjects<Option<DocumentText>>,
}

/// A tag.
#[derive(Deserialize)]
#[serde(expecting = "a tag")]
pub(super) struct Tag {
    pub(super) name: DocumentText,
    pub(super) description: Option<DocumentText>,
}

/// Text, as it is written.
///
/// A plain scalar of YAML is not resolved: `on` and `1.10` are these names, and not `true` and `1.1`.
pub(super) struct DocumentText(pub(super) String);

/// An object of any names, each of which stands there once.
pub(super) struct NamedObjects<V>(pub(super) BTreeMap<String, V>);

/// The members of a path item that are operations (`trace` too, to say that it is left out).
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

impl<'de> Deserialize<'de> for DocumentText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl Visitor<'_> for Take {
            type Value = DocumentText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<DocumentText, E> {
                Ok(DocumentText(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Take)
    }
}

impl<V> Default for NamedObjects<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// An object whose members are taken one by one.
pub(super) trait Members: Default {
    /// What it is, where something else stands in its place.
    const EXPECTED: &str;

    /// Takes a member: its name, and the value that `map` has next.
    fn take<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object by its members. Of two with one name, readers take the one or the other: that is an error.
pub(super) fn members<'de, T: Members, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Take<T>(PhantomData<T>);
    impl<'de, T: Members> Visitor<'de> for Take<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut taken = T::default();
            let mut names = BTreeSet::new();
            while let Some(name) = map.next_key::<String>()? {
                if !names.insert(name.clone()) {
                    return Err(A::Error::custom(format_args!("`{name}` stands twice in one object")));
                }
                taken.take(name, &mut map)?;
            }
            Ok(taken)
        }
    }
    // takes every type, so that an error names the type it found instead of an object
    deserializer.deserialize_any(Take(PhantomData))
}

impl Members for Paths {
    const EXPECTED: &str = "the `paths` of a document";

    fn take<'de, A: MapAccess<'de>>(&mut self, path: String, map: &mut A) -> Result<(), A::Error> {
        // extensions may hold anything
        if path.starts_with("x-") {
            return map.next_value::<IgnoredAny>().map(drop);
        }
        let item: Option<PathItem> = map.next_value()?;
        self.0.insert(path, item.unwrap_or_default());
        Ok(())
    }
}

impl Members for PathItem {
    const EXPECTED: &str = "the operations of a path";

    fn take<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        match name.as_str() {
            "$ref" => {
                self.reference =
                    map.next_value::<Option<DocumentText>>()?.map(|DocumentText(reference)| reference);
            }
            "servers" => self.servers = map.next_value()?,
            "additionalOperations" => {
                let more: Option<NamedObjects<OperationObject>> = map.next_value()?;
                self.operations.extend(more.unwrap_or_default().0);
            }
            method if METHODS.contains(&method) => {
                // one that says nothing is one all the same
                let operation: Option<OperationObject> = map.next_value()?;
                self.operations.push((method.to_ascii_uppercase(), operation.unwrap_or_default()));
            }
            other if METHODS.contains(&other.to_ascii_lowercase().as_str()) => {
                let operation: Option<OperationObject> = map.next_value()?;
                self.miswritten.push((name, operation.unwrap_or_default()));
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<V: for<'de> Deserialize<'de>> Members for NamedObjects<V> {
    const EXPECTED: &str = "an object";

    fn take<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        self.0.insert(name, map.next_value()?);
        Ok(())
    }
}

impl<'de, V: for<'any> Deserialize<'any>> Deserialize<'de> for NamedObjects<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members(deserializer)
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members(deserializer)
    }
}

impl<'de> Deserialize<'de> for PathItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members(deserializer)
    }
}

impl Flows {
    /// What a scope allows, where one of the ways says it.
    pub(super) fn description(&self, scope: &str) -> Option<&DocumentText> {
        let Self { implicit, password, client_credentials, authorization_code, device_authorization } = self;
        [implicit, password, client_credentials, authorization_code, device_authorization]
            .into_iter()
            .flatten()
            .find_map(|flow| flow.scopes.0.get(scope)?.as_ref())
    }
}

/// A value; where nothing is written, the default one.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
