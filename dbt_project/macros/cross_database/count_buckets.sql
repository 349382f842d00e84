{#
    A query that counts what is in the column `bucket_list` of each row of `lists`, a smallint[], and keeps the other columns:
    `buckets` are those that occur, `small_counts` (smallint) says how often in the same order, or, where one is too great
    for that, `large_counts` (integer). Two bytes less for each are a quarter of the table in PostgreSQL.
#}
{% macro count_buckets(lists, columns) -%}
    {{ return(adapter.dispatch('count_buckets', 'llmops_warehouse')(lists, columns)) }}
{%- endmacro %}

{# Row by row, which PostgreSQL does in memory; one query over all buckets of all rows would sort them on disk. #}
{% macro default__count_buckets(lists, columns) -%}
    select
        {{ columns | join(',\n        ') }},
        counted.buckets,
        case when counted.greatest_count < 32768 then cast(counted.counts as smallint[]) end as small_counts,
        case when counted.greatest_count >= 32768 then cast(counted.counts as integer[]) end as large_counts
    from {{ lists }}
    cross join lateral (
        select
            array_agg(bucket order by bucket) as buckets,
            array_agg(bucket_count order by bucket) as counts,
            max(bucket_count) as greatest_count
        from (
            select
                bucket,
                count(*) as bucket_count
            from unnest(bucket_list) as listed (bucket)
            group by bucket
        ) as occurring
    ) as counted
{%- endmacro %}

{% macro duckdb__count_buckets(lists, columns) -%}
    select
        {{ columns | join(',\n        ') }},
        map_keys(histogram) as buckets,
        case
            when list_max(map_values(histogram)) < 32768 then cast(map_values(histogram) as smallint[])
        end as small_counts,
        case
            when list_max(map_values(histogram)) >= 32768 then cast(map_values(histogram) as integer[])
        end as large_counts
    from (
        select
            {{ columns | join(',\n            ') }},
            list_aggregate(bucket_list, 'histogram') as histogram
        from {{ lists }}
    )
{%- endmacro %}
