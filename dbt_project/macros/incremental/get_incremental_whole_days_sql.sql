{#
    The incremental strategy `whole_days`: the days that the model built replace those it held, and the days that the ledger
    no longer has are deleted. One transaction: a build that dies leaves the mart as it was.
#}
{% macro get_incremental_whole_days_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set built = arg_dict['temp_relation'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ target }}
    where operation_date in (select operation_date from {{ built }});

    delete from {{ target }}
    where operation_date in (
        select held.operation_date
        from (select distinct operation_date from {{ target }}) as held
        left join {{ ref('int_operation_days') }} as ledger
            on held.operation_date = ledger.operation_date and ledger.day_fingerprint is not null
        where ledger.operation_date is null
    );

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ built }}
{%- endmacro %}
