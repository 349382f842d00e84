{#
    Lets a role read the marts, and nothing else, on PostgreSQL if it has such a role; what a run makes anew can be read from the
    moment on that it is there. DuckDB has no roles: who may read the file may read all of it.
#}
{% macro grant_marts_to(role) -%}
    {%- if execute and target.type == 'postgres' -%}
        {%- set marts = adapter.quote(target.schema) -%}
        {%- set reader = adapter.quote(role) -%}
        {%- if run_query("select 1 from pg_roles where rolname = '" ~ role | replace("'", "''") ~ "'").rows | length -%}
    grant usage on schema {{ marts }} to {{ reader }};
    grant select on all tables in schema {{ marts }} to {{ reader }};
    alter default privileges in schema {{ marts }} grant select on tables to {{ reader }};
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
